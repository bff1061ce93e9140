namespace SimpleChat.Tests.Batteries;

/// <summary>A change of the server's source that breaks a promise, and the battery that must notice it.</summary>
/// <param name="Name">What is broken.</param>
/// <param name="Battery">The battery's class, or another test's.</param>
/// <param name="Edits">The change.</param>
internal sealed record Break(string Name, string Battery, params Break.Edit[] Edits)
{
    /// <summary>The project that is broken.</summary>
    public string Server { get; init; } = "SimpleChat";

    /// <summary>The project that has the battery.</summary>
    public string Tests => $"{Server}.Tests";

    /// <summary>In a file of the server, a piece of source that is there exactly once, and what takes its place.</summary>
    internal sealed record Edit(string File, string From, string To);

    public static IReadOnlyList<Break> All { get; } =
    [
        ConfirmedBeforeCommit(nameof(CrashBattery)),
        ConfirmedBeforeCommit(nameof(PowerCutBattery)),
        new("synchronous is NORMAL", nameof(PowerCutBattery),
            new Edit("Database.cs", "\"synchronous\", \"2\"", "\"synchronous\", \"1\"")),

        new("the inbox row has a transaction of its own", nameof(CrashBattery),
            new Edit("Transaction.cs", "private long _lastSentAt;",
                "private long _lastSentAt; private readonly List<Message> _later = [];"),
            new Edit("Transaction.cs", "_insertInbox.Bind(1, message.To).Bind(2, message.Id).Bind(3, message.From).Run();",
                "_later.Add(message);"),
            new Edit("Transaction.cs", "_commit.Run();", """
                _commit.Run();
                _begin.Run();
                _later.ForEach(message => _insertInbox.Bind(1, message.To).Bind(2, message.Id).Bind(3, message.From).Run());
                _later.Clear();
                _commit.Run();
                """)),
        new("a message leaves the inbox before it is acknowledged", nameof(CrashBattery),
            new Edit("WebSocketEndpoint.cs", "writingDelivers: protocol != Acknowledged", "writingDelivers: true")),
        new("a message that was acknowledged stays in the inbox", nameof(CrashBattery),
            new Edit("Transaction.cs", """
                "DELETE FROM InboxDB WHERE Recipient = ?1 AND MessageId BETWEEN ?2 AND ?3 RETURNING MessageId, Sender"
                """, """
                "SELECT MessageId, Sender FROM InboxDB WHERE Recipient = ?1 AND MessageId BETWEEN ?2 AND ?3"
                """)),
        new("a repeat is a second message", nameof(CrashBattery),
            new Edit("Transaction.cs", "Find(message.Draft.From, name)", "Find(message.Draft.From, name + Guid.NewGuid())")),
        new("a batch is written backwards", nameof(CrashBattery),
            new Edit("Writer.cs", """
                foreach (var write in batch)
                            {
                                if (!eachAlone)
                """, """
                foreach (var write in batch.AsEnumerable().Reverse())
                {
                    if (!eachAlone)
                """)),

        new("a commit does not look whether the files are still what they were", nameof(StorageBattery),
            new Edit("Transaction.cs", "_commit.Run();\n        _database.RequireSound();", "_commit.Run();")),
        new("pages that somebody overwrites pass for a checkpoint", nameof(StorageBattery),
            new Edit("OpenedFiles.cs", "if (index.Progress == _progress && !index.IsUnderWay)", "if (index.Frames == uint.MaxValue)")),
        new("nobody looks for the log", nameof(StorageBattery),
            new Edit("OpenedFiles.cs", "if (Now(\"-wal\")?.IsSameFile(_log) != true)", "if (Now(\"-wal\") is { Size: < 0 })")),
        new("a log that is emptied is not noticed", nameof(StorageBattery),
            new Edit("OpenedFiles.cs", "ReadLogSalt() != index.Salt && ReadIndex() == index", "ReadIndex() == null")),
        new("what a deleted log held is not saved", nameof(StorageBattery),
            new Edit("Database.cs", "_files!.Save();", "")),
        new("damage that a reader finds is forgotten", nameof(StorageBattery),
            new Edit("DamageWatch.cs",
                "Volatile.Write(ref _suspicion, new ReadFault(e.SqliteExtendedErrorCode, Stopwatch.GetTimestamp()));", ";")),
        new("a batch that failed is confirmed and pushed all the same", nameof(StorageBattery),
            new Edit("Writer.cs", "writes.ForEach(write => Answer(write, isStored: false))",
                "writes.ForEach(write => Answer(write, isStored: true))")),
        new("a read that fails ends the connection", nameof(StorageBattery),
            new Edit("Drain.cs", "catch (Exception e) when (StorageFault.Is(e))", "catch (Exception e) when (e is null)")),
        new("a read that failed is not tried again", nameof(StorageBattery),
            new Edit("Drain.cs", "WakeAfter(RetryPause);", "")),
        new("/health does not look", nameof(StorageBattery),
            new Edit("HealthProbe.cs", "await writer.WriteAsync(db => db.Touch())", "await Task.FromResult(true)"),
            new Edit("HealthProbe.cs", "await reader.ProbeAsync();", "")),
        new("nothing is synced", nameof(StorageBattery),
            new Edit("Database.cs", "\"synchronous\", \"2\"", "\"synchronous\", \"0\"")),

        new("a peer that vanished stays in the map", nameof(NetworkBattery),
            new Edit("Chat.cs", "public void Leave(Connection connection) => audience.Remove(connection);", """
                public void Leave(Connection connection)
                {
                    if (connection.Ending != ConnectionEnd.PeerGone)
                        audience.Remove(connection);
                }
                """)),
        new("a peer that takes nothing is never dropped", nameof(NetworkBattery),
            new Edit("Sending.cs", "_stall.Begin();", "")),
        new("a message may take for ever to arrive", nameof(NetworkBattery),
            new Edit("Receiving.cs", "_slow.Change(line.Services.Options.MessageTimeout, Timeout.InfiniteTimeSpan);", "")),
        new("a peer that answers no ping is kept", nameof(NetworkBattery),
            new Edit("WebSocketEndpoint.cs", "socket.KeepAliveTimeout = chat.KeepAliveTimeout;", "")),

        new("a finished write may still be in a buffer of the server's", nameof(DeliveryBattery),
            new Edit("Listening.cs", "sockets.MaxWriteBufferSize = 1;", "")),
        new("the operating system holds as much as it likes for a slow reader", nameof(DeliveryBattery),
            new Edit("Listening.cs", "socket.SendBufferSize = OperatingSystem.IsLinux() ? SendBuffer / 2 : SendBuffer;", "")),
        new("what was written to a peer that is gone counts as delivered", nameof(DeliveryBattery),
            new Edit("OutgoingBatch.cs", "return flushing.Result.IsCompleted ? Task.FromException(Gone()) : Task.CompletedTask;",
                "return Task.CompletedTask;"),
            new Edit("OutgoingBatch.cs", "if ((await flushing).IsCompleted)", "if ((await flushing).IsCanceled)"),
            new Edit("Sending.cs", "if (line.Connection.Ending is null or { Status: not null })", "if (_written is not null)")),
        new("a close frame waits for the frames that were to follow", nameof(DeliveryBattery),
            new Edit("OutgoingBatch.cs", "if (MoreFollow && !_isControl && output", "if (MoreFollow && output")),

        new("what a user does is not counted", nameof(NeighbourBattery),
            new Edit("UserShare.cs", "return _work.Debt(_time);", "return TimeSpan.Zero;")),
        new("an ack holds as many ids as fit into it", nameof(HttpInboxTests),
            new Edit("IncomingFrame.cs", "good && ids.Count < MaxAckIds &&", "good &&")),
        new("strangers hold as many connections as they like", nameof(NeighbourBattery),
            new Edit("Door.cs", "while (_strangers.Count > _capacity.Strangers &&", "while (_strangers.Count > int.MaxValue - 1 &&")),

        new("a body that is not what its headers announce is not caught", nameof(FuzzBattery),
            new Edit("Body.cs", "catch (IOException e) // chunks", "catch (IOException e) when (e.HResult == 0) // chunks")),
        new("escapes that make no text are not caught", nameof(FuzzBattery),
            new Edit("IncomingFrame.cs", "when (e is JsonException or InvalidOperationException)", "when (e is JsonException)")),

        new("an overflowing queue's mark is one too low", nameof(InterleavingBattery),
            new Edit("Connection.cs", "_mark = message.Id;", "_mark = message.Id - 1;")),
        new("the queue repeats what came out of the database", nameof(InterleavingBattery),
            new Edit("Connection.cs", "outbox.DropPassed(_position);", "")),
        new("catching up skips what was committed meanwhile", nameof(InterleavingBattery),
            new Edit("Drain.cs", "_upTo = page.UpTo;",
                "_upTo = page.UpTo == range.UpTo ? Math.Max(page.UpTo, connection.Mark) : page.UpTo;")),
        new("the queue is taken while the database is next", nameof(InterleavingBattery),
            new Edit("Connection.cs", "else if (_position < _mark)", "else if (_position < _mark && outbox.Messages.Count == 0)")),
        new("the last commit is read before the connection is in the map", nameof(InterleavingBattery),
            new Edit("Chat.cs", "if (await audience.TryAddAsync(connection) is { } refusal)",
                "var before = audience.Committed;\nif (await audience.TryAddAsync(connection) is { } refusal)"),
            new Edit("Chat.cs", "var committed = audience.Committed;", "var committed = before;")),
        new("a connection that leaves takes its user's newer one along", nameof(ConnectionTests),
            new Edit("Connections.cs", "_connections.TryRemove(KeyValuePair.Create(connection.User, connections))",
                "_connections.TryRemove(connection.User, out _)")),

        new("each connection leaks 1 MiB", nameof(SoakBattery),
            new Edit("Connection.cs", "private readonly Lock _gate = new();", """
                private readonly Lock _gate = new();
                private static readonly System.Collections.Concurrent.ConcurrentBag<byte[]> Leaks = [];
                private readonly byte[] _leak = Leak();
                private static byte[] Leak()
                {
                    var bytes = new byte[1 << 20];
                    Array.Fill(bytes, (byte)1);
                    Leaks.Add(bytes);
                    return bytes;
                }
                """)),

        new("each commit takes longer than the one before", nameof(SoakBattery),
            new Edit("Writer.cs", "_transaction.Commit();", """
                _transaction.Commit();
                Thread.Sleep((int)Math.Min(200, _lastCommitted / 100));
                """)),

        new("sentAt follows the clock", nameof(ClockBattery),
            new Edit("Transaction.cs", "Math.Max(draft.ReceivedAt, _lastSentAt)", "draft.ReceivedAt")),
        new("sentAt starts anew with the process", nameof(ClockBattery),
            new Edit("Transaction.cs", "(_last.Int64(0), _last.Int64(1))", "(_last.Int64(0), 0)")),

        new("a token's end is looked for once", nameof(ClockBattery),
            new Edit("WebSocketLine.cs", "_expiry!.Change(left < look ? left : look,", "_expiry!.Change(left,")),

        new("anybody's acknowledgement counts", nameof(SecurityBattery),
            new Edit("Transaction.cs", "WHERE Recipient = ?1 AND MessageId BETWEEN ?2 AND ?3 RETURNING",
                "WHERE ?1 IS NOT NULL AND MessageId BETWEEN ?2 AND ?3 RETURNING")),
        new("history is not bound to its reader", nameof(SecurityBattery),
            new Edit("MessageReader.cs",
                "\"i.User = ?1\", \"(m.Sender = ?1 OR m.Recipient = ?1)\"", "\"i.User = ?1\", \"?1 IS NOT NULL\"")),
        new("any web page may write", nameof(SecurityBattery),
            new Edit("OriginCheck.cs", "if (origins.Count == 0)", "if (origins.Count == 0 || context.Request.Path != \"/chat\")")),
        new("strangers may hold all descriptors", nameof(SecurityBattery),
            new Edit("Door.cs", "while (_strangers.Count > _capacity.Strangers &&", "while (_strangers.Count > 10_000 &&")),
        new("a user's connection stays a stranger's", nameof(SecurityBattery),
            new Edit("Door.cs", """
                _strangers.Remove(connection);
                                connection.Whose = TcpConnection.Standing.User;
                                _users++;
                """, "connection.UserRequests = 0;")),
        new("nobody is slowed down", nameof(SecurityBattery),
            new Edit("Steps.cs", "if (await sender.TakeMessageAsync())", "if (sender is not null)")),

        // On nodes the primary key would refuse an id that is given out twice, and they would repeat the batch.
        OfNodes("there is no pen", "PenTests",
            new Edit("chat.postgres.sql", "    PERFORM pg_advisory_xact_lock(5080);\n    SELECT greatest", "    SELECT greatest")),
        OfNodes("the pen and the highest id are taken in one statement", "PenTests",
            new Edit("chat.postgres.sql", "    PERFORM pg_advisory_xact_lock(5080);\n    SELECT greatest", "    SELECT greatest"),
            new Edit("chat.postgres.sql", "LIMIT 1) m ON true;",
                "LIMIT 1) m ON true, (SELECT pg_advisory_xact_lock(5080)) AS pen;")),
        OfNodes("a batch is committed in a second round trip", "A_node_that_stands_still",
            new Edit("chat.postgres.sql", "  COMMIT;\nEND $$;", "END $$;"),
            new Edit("PostgresTransaction.cs", "using var row = _append.ExecuteReader();",
                "using var batch = _connection.BeginTransaction();\nusing var row = _append.ExecuteReader();"),
            new Edit("PostgresTransaction.cs", "while (row.NextResult())\n                ;",
                "row.Close();\nThread.Sleep(20); // of a network\nbatch.Commit();")),
        OfNodes("a commit is known only after it was offered", "CommitChainTests",
            new Edit("CommitChain.cs", "Volatile.Write(ref _known, commit.Id); // first", "// first"),
            new Edit("CommitChain.cs", "        offer(commit);\n",
                "        offer(commit);\n        Volatile.Write(ref _known, commit.Id);\n")),
        OfNodes("the chain offers what comes early", "whichever_part_fails",
            new Edit("CommitChain.cs", "if (commit.Id == _known + 1)", "if (commit.Id > _known)")),
        OfNodes("nobody looks how far the database is", "What_a_node_commits_and_dies_before_it_announces",
            new Edit("TailLook.cs", "await ReadAsync(look.LastId, chain.HasHeard(Silence) ? Patience : TimeSpan.Zero, stop);", "")),
        OfNodes("the look does not wait for this node's own commit", "whichever_part_fails",
            new Edit("TailLook.cs", "(time.GetTimestamp(), chain.Begun)", "(time.GetTimestamp(), chain.Begun - 1)")),
        OfNodes("the map decides who is pushed to", "What_the_map_has_forgotten",
            new Edit("ClusterAudience.cs", "connection.FallBehind(commit.Id);", "connection.Signal.Set();")),
        OfNodes("whoever joins a node that stood still is not kept waiting", "A_node_that_stood_still",
            new Edit("ClusterAudience.cs", "await look.CatchUpAsync()", "await Task.FromResult<Snapshot?>(null)")),
        OfNodes("a connection is told what was delivered before it joined", "What_was_delivered_before_a_connection_was_opened",
            new Edit("Deliveries.cs", "_joined[connection] = seen;", "_joined.Clear();")),
    ];

    public override string ToString() => $"{Server}, {Battery}: {Name}";

    /// <summary>One of two nodes.</summary>
    private static Break OfNodes(string name, string battery, params Edit[] edits) =>
        new(name, battery, edits) { Server = "SimpleChat.ScaleOut" };

    private static Break ConfirmedBeforeCommit(string battery) => new("confirmed before COMMIT", battery,
        new Edit("Writer.cs", "_transaction.Commit();", """
            foreach (var write in batch)
                write.Committed();
            _transaction.Commit();
            """),
        new Edit("Writer.cs", "Answer(write, isStored);", ""));
}
