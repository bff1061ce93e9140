using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.ScaleOut.Roles;

/// <summary>What a service does for nodes. Each call reads what is asked, and writes the answer.</summary>
internal sealed class ServiceCalls
{
    /// <summary>Rows of history that are read at once; a page has 50 by default.</summary>
    private const int HistoryPart = 64;

    private readonly Dictionary<string, Func<BinaryReader, BinaryWriter, ValueTask>> _calls = new(StringComparer.Ordinal);
    private readonly Writer _writer;
    private readonly CommitChain _chain;
    private readonly Deliveries _deliveries;
    private readonly TimeProvider _time;

    public ServiceCalls(Writer writer, IMessageReader reader, ITail tail, CommitChain chain, Deliveries deliveries, TimeProvider time)
    {
        (_writer, _chain, _deliveries, _time) = (writer, chain, deliveries, time);
        Add("hello", async (ask, answer) =>
        {
            answer.Write((await tail.LookAsync()).LastId);
            answer.Write(Now.Ticks);
        });
        Add("store", StoreAsync);
        Add("inbox", (ask, answer) => WritePartAsync(
            answer, reader.ReadInbox(ask.ReadString(), ask.ReadInt64(), ask.ReadInt64()), Page.Size + 1, answer.WriteMessage,
            message => message));
        Add("concerning", (ask, answer) => WritePartAsync(
            answer, reader.ReadConcerning(ask.ReadString(), ask.ReadInt64(), ask.ReadInt64()), Page.Size + 1, answer.WriteMessage,
            message => message));
        Add("history", (ask, answer) => WritePartAsync(
            answer,
            reader.ReadHistory(ask.ReadString(), ask.ReadOptionalString(), ask.ReadOptionalNumber(), ask.ReadInt64(), ask.ReadInt64()),
            HistoryPart, answer.WriteHistory, row => row.Message));
        Add("conversations", (ask, answer) => WritePartAsync(
            answer, reader.ReadConversations(ask.ReadString(), ask.ReadInt64()), HistoryPart, row =>
            {
                answer.Write(row.With);
                answer.WriteHistory(row.Last);
            }, row => row.Last.Message));
        Add("known", async (ask, answer) => answer.Write(
            await reader.IsKnownAsync(ask.ReadString(), new Position(ask.ReadInt64(), ask.ReadOptionalNumber()))));
        Add("receipts", async (ask, answer) => answer.WriteAll(
            await reader.ReadReceiptsAsync(ask.ReadString(), ask.ReadInt64(), ask.ReadInt64()), answer.WriteReceipt));
        Add("old", async (ask, answer) =>
        {
            var old = await reader.ReadOldAsync(ask.ReadInt64(), ask.ReadInt64(), ask.ReadInt32());
            answer.WriteAll<long>(old?.Delivered ?? [], answer.Write);
            answer.WriteOptional(old?.UpTo);
        });
        Add("webhooks", async (ask, answer) => answer.WriteAll(await reader.ReadWebhooksAsync(), answer.WriteWebhook));
        Add("count", async (ask, answer) =>
        {
            var (count, oldestId) = await reader.CountInboxAsync(ask.ReadString(), ask.ReadInt64());
            answer.Write(count);
            answer.Write(oldestId);
        });
        Add("probe", async (ask, answer) => await reader.ProbeAsync());
        Add("look", async (ask, answer) =>
        {
            var (lastId, shown) = await tail.LookAsync();
            answer.Write(lastId);
            answer.Write(shown.ToString());
        });
        Add("tail", async (ask, answer) =>
        {
            var page = await tail.ReadTailAsync(ask.ReadInt64(), ask.ReadInt64(), ask.ReadInt32());
            answer.WriteAll(page.Messages, answer.WriteMessage);
            answer.Write(page.UpTo);
        });
    }

    /// <summary>Finds the call that a node POSTs there; null if there is none.</summary>
    public Func<BinaryReader, BinaryWriter, ValueTask>? Find(string path) => _calls.GetValueOrDefault(path);

    /// <summary>See <see cref="ServiceClient"/>'s.</summary>
    private TimeSpan Now => _time.GetElapsedTime(0);

    private void Add(string call, Func<BinaryReader, BinaryWriter, ValueTask> answer) => _calls.Add(InnerWire.PathOf(call), answer);

    /// <summary>Hands the batch to the service's writer, and waits for its commit.</summary>
    private async ValueTask StoreAsync(BinaryReader ask, BinaryWriter answer)
    {
        var batch = new Batch(ask, () => Now);
        var transaction = 0L;
        var isStored = await _writer.WriteAsync(batch.Apply, batch.Cost, committed: () =>
        {
            transaction = _deliveries.Committed;
            foreach (var message in batch.NewMessages) // its node tells the others
                _chain.Add(new Commit(message) { IsOwn = true });
        });
        if (!isStored || batch.IsLate)
            throw new ServiceFault(_writer.Fault ?? "the batch came too late.", wasAsked: true);
        batch.WriteOutcomes(answer);
        answer.Write(transaction);
        answer.Write(_writer.LastCommitted);
    }

    /// <summary>Writes rows until there are enough: so many, or so much text as a page has, and one more.</summary>
    private static async ValueTask WritePartAsync<T>(
        BinaryWriter answer, IAsyncEnumerable<T> rows, int limit, Action<T> write, Func<T, Message> messageOf)
    {
        var (count, text, hasMore) = (0, 0, false);
        await foreach (var row in rows)
        {
            answer.Write(true);
            write(row);
            hasMore = ++count == limit || text >= Page.MaxText;
            if (hasMore)
                break;
            text += messageOf(row).Text.Length;
        }

        answer.Write(false);
        answer.Write(hasMore);
    }
}
