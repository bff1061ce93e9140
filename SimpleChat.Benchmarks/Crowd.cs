namespace SimpleChat.Benchmarks;

/// <summary>Users who write to each other, and the proof of what came of it.</summary>
internal sealed class Crowd : IDisposable
{
    /// <summary>How long connecting, or the last messages on their way, may take.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly List<ChatUser> _users = [];

    private Crowd(IEnumerable<Account> accounts) => Accounts = [.. accounts];

    public Verdict Verdict { get; } = new();

    /// <summary>By number of the sender.</summary>
    public Account[] Accounts { get; }

    public IReadOnlyList<ChatUser> Users => _users;

    /// <summary>Takes times down, if it is a matter of time.</summary>
    public Latencies? Latencies { get; init; }

    public long Confirmed => Accounts.Sum(account => Volatile.Read(ref account.Confirmed));

    public long Arrived => Accounts.Sum(account => Volatile.Read(ref account.Arrived));

    /// <summary>
    /// Pairs of users, connected: 0 and 1, 2 and 3, ... Each writes to the other. With several servers, the two are on different ones.
    /// </summary>
    public static Crowd Pairs(int[] ports, int pairs, int window, bool clientMessageIds = false, Latencies? latencies = null) =>
        Pairs(pairs, latencies, (crowd, number, to) => new ChatUser(
            ports[number % ports.Length], number, crowd, new SendFrame(number, to, clientMessageIds), window));

    /// <summary>The same users of the SignalR servers.</summary>
    public static Crowd PeerPairs(int[] ports, int pairs, int window, Latencies? latencies = null) =>
        Pairs(pairs, latencies, (crowd, number, to) => new PeerUser(
            ports[number % ports.Length], number, crowd, SendFrame.Invocation(number, to), window));

    /// <summary>User 0 writes to user 1, who writes nothing.</summary>
    public static Crowd OneSender(int port, int window)
    {
        var crowd = new Crowd([new Account(0, ChatUser.Name(1))]);
        crowd.Add(port, 0, new SendFrame(0, ChatUser.Name(1), clientMessageIds: false), window);
        crowd.Add(port, 1, null, 0);
        return crowd.Connect();
    }

    /// <summary>Many users who all write to one who is not there.</summary>
    public static Crowd ToAbsent(int port, int senders, int window, int absent)
    {
        var crowd = new Crowd(Enumerable.Range(0, senders).Select(number => new Account(number, ChatUser.Name(absent))));
        for (var number = 0; number < senders; number++)
            crowd.Add(port, number, new SendFrame(number, ChatUser.Name(absent), clientMessageIds: false), window);
        return crowd.Connect();
    }

    /// <summary>Everyone who can sends, as fast as the windows allow.</summary>
    public void Start(long quota = long.MaxValue)
    {
        foreach (var user in _users)
            user.SendUpTo(quota);
    }

    /// <summary>Stops sending, waits for what is on its way, and proves it.</summary>
    /// <param name="receipts">The server sends them.</param>
    public void Settle(bool receipts)
    {
        foreach (var user in _users)
            user.SendUpTo(0);
        WaitUntilSettled(arrived: true, receipts);
        foreach (var account in Accounts)
            account.Prove(receipts);
    }

    public void WaitUntilSettled(bool arrived, bool receipts) =>
        Verdict.WaitFor(
            () => Accounts.All(account => account.IsSettled(arrived, receipts)),
            Patience,
            () => $"not everything came to its end; {Accounts.First(account => !account.IsSettled(arrived, receipts))}.");

    public void Dispose()
    {
        foreach (var user in _users)
            user.Dispose();
    }

    private static Crowd Pairs(int pairs, Latencies? latencies, Func<Crowd, int, string, ChatUser> make)
    {
        var accounts = Enumerable.Range(0, 2 * pairs).Select(number => new Account(number, ChatUser.Name(number ^ 1)));
        var crowd = new Crowd(accounts) { Latencies = latencies };
        for (var number = 0; number < 2 * pairs; number++)
            crowd._users.Add(make(crowd, number, ChatUser.Name(number ^ 1)));
        return crowd.Connect();
    }

    private void Add(int port, int number, SendFrame? frame, int window) => _users.Add(new ChatUser(port, number, this, frame, window));

    private Crowd Connect()
    {
        foreach (var user in _users)
            user.Open();
        Verdict.WaitFor(
            () => _users.TrueForAll(user => user.IsOpen),
            Patience,
            () => $"{_users.Count(user => !user.IsOpen)} of {_users.Count} users are not connected.");
        return this;
    }
}
