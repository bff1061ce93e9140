using System.Diagnostics;
using System.Text;
using Npgsql;
using NpgsqlTypes;
using SimpleChat.Monitoring;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.ScaleOut;

/// <summary>Gathers what is written, and commits it with one <c>CALL chat_append</c>.</summary>
internal sealed class PostgresTransaction : IGatheredTransaction
{
    /// <summary>How often a batch is repeated that another node was in the way of.</summary>
    private const int Attempts = 5;

    private readonly NpgsqlConnection _connection;
    private readonly CommitChain _chain;
    private readonly Deliveries _deliveries;
    private readonly NpgsqlCommand _append;

    // What the open transaction has gathered.
    private readonly List<PendingMessage> _messages = [];
    private readonly List<(PendingMessage Twin, int Of)> _twins = []; // repeats within the transaction
    private readonly Dictionary<(string Sender, string Name), int> _named = [];
    private readonly List<Removal> _removals = [];
    private readonly List<Removal> _removalsAfter = []; // of what the transaction itself may store
    private readonly List<long> _erasing = [];
    private readonly List<Action> _others = [];

    /// <param name="connection">The writer's connection, which it closes.</param>
    /// <param name="chain">Hears when a commit of this node begins and ends.</param>
    /// <param name="deliveries">Hears in which transaction messages have left their inboxes.</param>
    public PostgresTransaction(NpgsqlConnection connection, CommitChain chain, Deliveries deliveries)
    {
        (_connection, _chain, _deliveries) = (connection, chain, deliveries);
        try
        {
            _append = new NpgsqlCommand(
                "CALL chat_append($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)", connection);
            Add(NpgsqlDbType.Text); // inboxes
            Add(NpgsqlDbType.Bigint); // firsts
            Add(NpgsqlDbType.Bigint); // lasts
            Add(NpgsqlDbType.Bigint); // erasing
            Add(NpgsqlDbType.Text); // senders
            Add(NpgsqlDbType.Text); // recipients
            Add(NpgsqlDbType.Bytea); // texts
            Add(NpgsqlDbType.Bigint); // received
            Add(NpgsqlDbType.Bytea); // names
            _append.Prepare();
            using var last = new NpgsqlCommand(PostgresReader.LastId, connection);
            LastId = (long)last.ExecuteScalar()!;
        }
        catch
        {
            connection.Dispose();
            throw;
        }

        void Add(NpgsqlDbType type) => _append.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Array | type });
    }

    public long LastId { get; private set; }

    public void Begin()
    {
        _messages.Clear();
        _twins.Clear();
        _named.Clear();
        _removals.Clear();
        _removalsAfter.Clear();
        _erasing.Clear();
        _others.Clear();
    }

    public void Store(PendingMessage message)
    {
        if (message.Draft.ClientMessageId is { } name)
        {
            if (_named.TryGetValue((message.Draft.From, name), out var first))
            {
                _twins.Add((message, first));
                return;
            }

            _named.Add((message.Draft.From, name), _messages.Count);
        }

        _messages.Add(message);
    }

    /// <summary>
    /// The procedure removes before it stores. Whoever acknowledges an id that is not there yet may mean one of this batch.
    /// </summary>
    public void Remove(string user, IdRange range, List<Receipt> receipts)
    {
        var mayBeOfThisBatch = _messages.Count > 0 && range.Last > _chain.Known;
        (mayBeOfThisBatch ? _removalsAfter : _removals).Add(new Removal(user, range, receipts));
    }

    public void Erase(List<long> ids) => _erasing.AddRange(ids);

    public void Put(WebhookRow row) => Later(
        """
        INSERT INTO WebhookDB VALUES ($1, $2, $3, 0)
        ON CONFLICT ("User") DO UPDATE SET Url = excluded.Url, Secret = excluded.Secret, SkippedUpTo = 0
        """, row.User, row.Url, row.Secret);

    public void DeleteWebhook(string user, WebhookRow? only)
    {
        if (only is null)
            Later("DELETE FROM WebhookDB WHERE \"User\" = $1", user);
        else
            Later("DELETE FROM WebhookDB WHERE \"User\" = $1 AND Url = $2 AND Secret = $3", user, only.Url, only.Secret);
    }

    public void SkipWebhook(WebhookRow row, long upTo) => Later(
        "UPDATE WebhookDB SET SkippedUpTo = $5 WHERE \"User\" = $1 AND Url = $2 AND Secret = $3 AND SkippedUpTo = $4",
        row.User, row.Url, row.Secret, row.SkippedUpTo, upTo);

    public void Commit()
    {
        try
        {
            foreach (var other in _others)
                other();
            Append(_messages, _removals, _erasing);
            FindRepeats();
            if (_removalsAfter.Count > 0)
                Append([], _removalsAfter, []);
        }
        catch (Exception e) when (e is NpgsqlException or InvalidOperationException or IOException)
        {
            throw new PostgresFault(e);
        }
    }

    public void Dispose()
    {
        _append.Dispose();
        _connection.Dispose();
    }

    private void Append(List<PendingMessage> messages, List<Removal> removals, List<long> erasing)
    {
        SetParameters(messages, removals, erasing);
        for (var attempt = 1; !TryAppend(messages, removals, mayRepeat: attempt < Attempts); attempt++)
            ;
    }

    /// <returns>False if another node was in the way, and the batch may be repeated.</returns>
    private bool TryAppend(List<PendingMessage> messages, List<Removal> removals, bool mayRepeat)
    {
        var last = 0L;
        if (messages.Count > 0)
            _chain.CommitBegins();
        try
        {
            using var row = _append.ExecuteReader();
            row.Read();
            last = Take(row, messages, removals);
            while (row.NextResult())
                ;
        }
        catch (Exception e) when (mayRepeat && PostgresFault.MayPass(e))
        {
            return false;
        }
        finally
        {
            if (messages.Count > 0)
                _chain.CommitEnds(last);
        }

        return true;
    }

    private void SetParameters(List<PendingMessage> messages, List<Removal> removals, List<long> erasing)
    {
        var latest = 0L;
        Set(0, removals.Select(removal => removal.User));
        Set(1, removals.Select(removal => removal.Range.First));
        Set(2, removals.Select(removal => removal.Range.Last));
        Set(3, erasing);
        Set(4, messages.Select(message => message.Draft.From));
        Set(5, messages.Select(message => message.Draft.To));
        Set(6, messages.Select(message => message.Draft.Text));
        Set(7, messages.Select(message => latest = Math.Max(latest, message.Draft.ReceivedAt))); // a clock may have been set back
        Set(8, messages.Select(message => Utf8(message.Draft.ClientMessageId)));

        void Set<T>(int index, IEnumerable<T> values) => _append.Parameters[index].Value = values.ToArray();
    }

    /// <summary>Gives everybody what the procedure returned.</summary>
    /// <returns>The highest id of a new message, or 0.</returns>
    private long Take(NpgsqlDataReader row, List<PendingMessage> messages, List<Removal> removals)
    {
        if (!row.IsDBNull(3))
        {
            var (of, ids, from) = (row.GetFieldValue<int[]>(3), row.GetFieldValue<long[]>(4), row.GetFieldValue<string[]>(5));
            for (var i = 0; i < of.Length; i++)
            {
                var removal = removals[of[i] - 1];
                removal.Receipts.Add(new Receipt(ids[i], from[i], removal.User));
            }

            _deliveries.Committed = row.GetInt64(6);
        }

        if (row.IsDBNull(1))
            return 0;
        var id = row.GetInt64(0);
        var (fresh, times) = (row.GetFieldValue<int[]>(1), row.GetFieldValue<long[]>(2));
        for (var i = 0; i < fresh.Length; i++)
        {
            var pending = messages[fresh[i] - 1];
            var draft = pending.Draft;
            pending.Became(new Message(++id, draft.From, draft.To, draft.Text, times[i]), isRepeat: false);
        }

        if (Activity.Current is { } commit && commit.Source == Traces.Source)
            commit.AddEvent(new ActivityEvent("waited for the pen", commit.StartTimeUtc.AddMicroseconds(row.GetInt64(7))));
        LastId = id;
        return id;
    }

    /// <summary>Finds the messages that were there before. If one was erased since, its sender is told nothing, and repeats it.</summary>
    private void FindRepeats()
    {
        foreach (var message in _messages.Where(message => message.Message is null))
        {
            using var find = new NpgsqlCommand(
                "SELECT Id, Recipient, Text, SentAt FROM MessageDB WHERE Sender = $1 AND ClientMessageId = $2", _connection);
            find.Parameters.Add(new NpgsqlParameter<string> { TypedValue = message.Draft.From });
            find.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = Utf8(message.Draft.ClientMessageId)! });
            using var row = find.ExecuteReader();
            if (row.Read())
            {
                message.Became(new Message(
                    row.GetInt64(0), message.Draft.From, row.GetString(1), row.GetFieldValue<byte[]>(2), row.GetInt64(3)), isRepeat: true);
            }
        }

        foreach (var (twin, of) in _twins)
        {
            if (_messages[of].Message is { } message)
                twin.Became(message, isRepeat: true);
        }
    }

    /// <summary>A rare statement, which is committed by itself before the batch.</summary>
    private void Later(string sql, params object[] values) => _others.Add(() =>
    {
        using var command = new NpgsqlCommand(sql, _connection);
        foreach (var value in values)
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        command.ExecuteNonQuery();
    });

    private sealed record Removal(string User, IdRange Range, List<Receipt> Receipts);

    private static byte[]? Utf8(string? name) => name is null ? null : Encoding.UTF8.GetBytes(name);
}
