using Dapper;

namespace SimpleChat.Tests;

/// <summary>
/// Indexes that come later, in lots: whatever is asked at whatever moment, the answer is as if they had been there at once.
/// </summary>
public sealed class MessageIndexTests : IDisposable
{
    private const int Messages = 7 * MessageIndex.LotSize;

    private readonly TempFolder _folder = new();
    private readonly Database _database;
    private readonly MessageReader _store;
    private readonly List<Message> _stored = [];
    private readonly Dictionary<(string, string), long> _named = [];
    private readonly Random _random = new(7);

    public MessageIndexTests()
    {
        _database = new Database($"Data Source={_folder.DatabasePath}");
        _database.Open().Dispose();
        _store = new MessageReader(_database);
    }

    [Fact]
    public void I6_History_and_repeats_are_right_before_during_and_after_each_lot_after_rollbacks_erasures_and_restarts()
    {
        var marks = new HashSet<long>();
        for (var restart = 0; restart < 3; restart++)
        {
            using var transaction = new Transaction(_database);
            while (_stored.Count < (restart + 1) * Messages / 3)
            {
                WriteBatch(transaction, size: _random.Next(1, 400), undone: _random.Next(8) == 0);
                if (_random.Next(10) == 0)
                {
                    marks.Add(Mark());
                    CheckReads();
                }
            }
        }

        Assert.True(marks.Count > 3, "No lot was finished: nothing was tested.");
        using (new Transaction(_database))
        {
            Assert.Equal(_stored[^1].Id, Mark()); // a start completes them
            CheckIndexes();
            CheckReads();
            Erase(message => message.Id > _stored[^1].Id - 300 || message.From == "user3" || message.Id % 1000 < 400
                || message.To == "a-user7");
            for (var i = 0; i < 10; i++)
                CheckReads();
        }
    }

    public void Dispose()
    {
        _database.Dispose();
        _folder.Dispose();
    }

    private void WriteBatch(Transaction transaction, int size, bool undone)
    {
        var batch = new List<(Message Message, string? Name)>();
        transaction.Begin();
        for (var i = 0; i < size; i++)
        {
            var (from, to, name) = (User(), User(), _random.Next(2) == 0 ? $"n{_random.Next(Messages)}" : null);
            var known = name is null ? null : batch.Find(entry => entry.Name == name && entry.Message.From == from).Message?.Id
                ?? (_named.TryGetValue((from, name), out var id) ? id : null);
            if (name is not null)
                Assert.Equal(known, transaction.Find(from, name)?.Id);
            if (known is null)
                batch.Add((transaction.Insert(new Draft(from, to, "hi"u8.ToArray(), name, ReceivedAt: 1)), name));
        }

        var erased = Enumerable.Range(0, _random.Next(3) == 0 && _stored.Count > 1 ? 20 : 0) // old ones, and ones that are in no index yet
            .Select(_ => _random.Next(2) == 0
                ? _random.Next(_stored.Count - 1)
                : Math.Max(0, _stored.Count - 2 - _random.Next(MessageIndex.LotSize)))
            .Select(i => _stored[i].Id).ToHashSet();
        transaction.Erase([.. erased]);
        if (undone)
        {
            transaction.Rollback();
            return;
        }

        transaction.Commit();
        _stored.RemoveAll(message => erased.Contains(message.Id));
        foreach (var name in _named.Where(name => erased.Contains(name.Value)).Select(name => name.Key).ToList())
            _named.Remove(name);
        foreach (var (message, name) in batch)
        {
            _stored.Add(message);
            if (name is not null)
                _named.Add((message.From, name), message.Id);
        }
    }

    private void CheckReads()
    {
        var (user, other) = (User(), User());
        var mine = _stored.Where(message => message.From == user || message.To == user).ToList();
        var ours = mine.Where(message => message.From == other || message.To == other)
            .Where(message => user != other || message.From == message.To).ToList();
        var position = _random.Next(_stored.Count);

        var conversations = mine.GroupBy(message => message.From == user ? message.To : message.From)
            .Select(conversation => (With: conversation.Key, Last: conversation.Max(message => message.Id)))
            .OrderByDescending(conversation => conversation.Last).ToList();
        var before = conversations.Count == 0 ? 1 : conversations[_random.Next(conversations.Count)].Last;

        Assert.Equal(conversations, Conversations(user, long.MaxValue));
        Assert.Equal(conversations.Where(conversation => conversation.Last < before), Conversations(user, before));
        Assert.Equal(Newest(mine, long.MaxValue), History(user, null, null, long.MaxValue));
        Assert.Equal(Newest(ours, position), History(user, other, null, position));
        Assert.Equal(mine.Where(message => message.Id > position).Take(50).Select(message => message.Id),
            History(user, null, position, long.MaxValue));
        Assert.Equal(
            mine.Where(message => message.Id > position).Take(Page.Size).Select(message => message.Id),
            _store.ReadConcerning(user, position, long.MaxValue).ToBlockingEnumerable().Take(Page.Size).Select(message => message.Id));
    }

    /// <summary>As an operator would, behind the server's back.</summary>
    private void Erase(Predicate<Message> which)
    {
        using var connection = _database.OpenWriter();
        using var erasing = connection.BeginTransaction();
        connection.Execute("DELETE FROM MessageDB WHERE Id = @Id", _stored.FindAll(which), erasing);
        erasing.Commit();
        _stored.RemoveAll(which);
    }

    private IEnumerable<(string With, long Last)> Conversations(string user, long before) =>
        _store.ReadConversations(user, before).ToBlockingEnumerable()
            .Select(conversation => (conversation.With, conversation.Last.Message.Id));

    private IEnumerable<long> History(string user, string? with, long? after, long before) =>
        _store.ReadHistory(user, with, after, before, since: 0).ToBlockingEnumerable().Take(50).Select(row => row.Message.Id).Order();

    private static IEnumerable<long> Newest(List<Message> messages, long before) =>
        messages.Where(message => message.Id < before).TakeLast(50).Select(message => message.Id);

    private void CheckIndexes()
    {
        using var connection = _database.OpenReader();
        Assert.Equal(_named.Values.Order(), connection.Query<long>("SELECT MessageId FROM MessageDB_ByClientMessageId ORDER BY MessageId"));
        Assert.Equal(_stored.Select(message => message.Id),
            connection.Query<long>("SELECT MessageId FROM MessageDB_ByConversation ORDER BY MessageId"));
        Assert.Equal(
            _stored.Sum(message => message.From == message.To ? 1L : 2L),
            connection.QuerySingle<long>(
                "SELECT count(*) FROM MessageDB_ByUser JOIN MessageDB ON Id = MessageId AND User IN (Sender, Recipient)"));
    }

    private long Mark()
    {
        using var connection = _database.OpenReader();
        return connection.QuerySingle<long>("SELECT UpTo FROM MessageDB_Indexed");
    }

    /// <summary>Early on there are others too, who sort before and after; nobody writes to them later.</summary>
    private string User() =>
        (_stored.Count < 1000 ? _random.Next(3) : 1) switch { 0 => "a-", 1 => "", _ => "z-" } + $"user{_random.Next(12)}";
}
