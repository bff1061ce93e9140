using System.Text;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.Caching.StackExchangeRedis;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.ScaleOut;

/// <summary>
/// Keeps closed pages of history, in memory and in Redis. A page is closed if it lies below an id that was given out, and all of its
/// messages are delivered: nothing can be added to it, and nothing in it changes. But its messages may be erased. So the database is asked
/// each time whether all of them are still there; if one is not, the page is read again. Off by default: see docs/scaled-out.md.
/// </summary>
/// <param name="reader">Reads what is not kept.</param>
/// <param name="chain">Knows which ids were given out.</param>
/// <param name="cache">Where pages are kept.</param>
internal sealed class HistoryCache(PostgresReader reader, CommitChain chain, HybridCache cache) : IMessageReader
{
    /// <summary>Rows in a page that is kept. A page of the contract's default size is one.</summary>
    private const int Rows = 64;

    private static readonly HybridCacheEntryOptions Keep =
        new() { Expiration = TimeSpan.FromHours(1), LocalCacheExpiration = TimeSpan.FromMinutes(1) };

    /// <summary>The most memory that pages take in a process, in bytes.</summary>
    private const long Memory = 64 * 1024 * 1024;

    private static readonly HybridCacheEntryOptions OnlyLook = new() { Flags = HybridCacheEntryFlags.DisableUnderlyingData };

    /// <summary>Registers it in place of the reader.</summary>
    public static void Register(IServiceCollection services)
    {
        services.AddMemoryCache(memory => memory.SizeLimit = Memory);
        services.AddHybridCache();
        services.AddSingleton<IDistributedCache>(provider => new RedisCache(new RedisCacheOptions
        {
            InstanceName = "chat:history:",
            ConnectionMultiplexerFactory = () => Task.FromResult(provider.GetRequiredService<RedisServer>().Multiplexer),
        }));
        services.AddSingleton<IMessageReader, HistoryCache>();
    }

    public IAsyncEnumerable<HistoryMessage> ReadHistory(string user, string? with, long? after, long before, long since) =>
        after is null && before - 1 <= chain.Known
            ? ReadClosed(user, with, before, since)
            : reader.ReadHistory(user, with, after, before, since);

    public IAsyncEnumerable<Message> ReadInbox(string user, long after, long upTo) => reader.ReadInbox(user, after, upTo);

    public IAsyncEnumerable<Message> ReadConcerning(string user, long after, long upTo) => reader.ReadConcerning(user, after, upTo);

    public IAsyncEnumerable<Conversation> ReadConversations(string user, long before) => reader.ReadConversations(user, before);

    public ValueTask<bool> IsKnownAsync(string user, Position position) => reader.IsKnownAsync(user, position);

    public ValueTask<List<Receipt>> ReadReceiptsAsync(string user, long first, long last) => reader.ReadReceiptsAsync(user, first, last);

    public ValueTask<(List<long> Delivered, long UpTo)?> ReadOldAsync(long since, long after, int limit) =>
        reader.ReadOldAsync(since, after, limit);

    public ValueTask<List<WebhookRow>> ReadWebhooksAsync() => reader.ReadWebhooksAsync();

    public ValueTask<(long Count, long OldestId)> CountInboxAsync(string user, long upTo) => reader.CountInboxAsync(user, upTo);

    public ValueTask ProbeAsync() => reader.ProbeAsync();

    private async IAsyncEnumerable<HistoryMessage> ReadClosed(string user, string? with, long before, long since)
    {
        while (true)
        {
            var page = await FindAsync(user, with, before);
            foreach (var row in page)
            {
                if (row.Message.SentAt < since)
                    yield break; // older ones follow
                yield return row;
            }

            if (page.Count < Rows)
                yield break;
            before = page[^1].Message.Id;
        }
    }

    private async ValueTask<List<HistoryMessage>> FindAsync(string user, string? with, long before)
    {
        var key = $"{user}/{with}/{before}"; // no user id has a slash
        var kept = await cache.GetOrCreateAsync(key, _ => ValueTask.FromResult(Array.Empty<byte>()), OnlyLook);
        if (kept is { Length: > 0 } && Read(kept) is var page && await reader.AreThereAsync([.. page.Select(row => row.Message)]))
            return page;
        page = await reader.ReadHistory(user, with, after: null, before, since: long.MinValue).Take(Rows).ToListAsync();
        if (page.TrueForAll(row => row.Delivered))
            await cache.SetAsync(key, Write(page), Keep);
        return page;
    }

    private static byte[] Write(List<HistoryMessage> page)
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes, Encoding.UTF8);
        writer.WriteAll(page, writer.WriteHistory);
        return bytes.ToArray();
    }

    private static List<HistoryMessage> Read(byte[] bytes)
    {
        using var reader = new BinaryReader(new MemoryStream(bytes), Encoding.UTF8);
        return reader.ReadAll(reader.ReadHistory);
    }
}
