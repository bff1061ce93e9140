namespace SimpleChat.Tests.Batteries;

// Two nodes.
internal sealed partial record Break
{
    private static Break[] OfNodes =>
    [
        // On nodes the primary key would refuse an id that is given out twice, and they would repeat the batch.
        OfNode("there is no pen", "PenTests",
            new Edit("chat.postgres.sql", "    PERFORM pg_advisory_xact_lock(5080);\n    SELECT greatest", "    SELECT greatest")),
        OfNode("the pen and the highest id are taken in one statement", "PenTests",
            new Edit("chat.postgres.sql", "    PERFORM pg_advisory_xact_lock(5080);\n    SELECT greatest", "    SELECT greatest"),
            new Edit("chat.postgres.sql", "LIMIT 1) m ON true;",
                "LIMIT 1) m ON true, (SELECT pg_advisory_xact_lock(5080)) AS pen;")),
        OfNode("a batch is committed in a second round trip", "A_node_that_stands_still",
            new Edit("chat.postgres.sql", "  COMMIT;\nEND $$;", "END $$;"),
            new Edit("PostgresTransaction.cs", "using var row = _append.ExecuteReader();",
                "using var batch = _connection.BeginTransaction();\nusing var row = _append.ExecuteReader();"),
            new Edit("PostgresTransaction.cs", "while (row.NextResult())\n                ;",
                "row.Close();\nThread.Sleep(20); // of a network\nbatch.Commit();")),
        OfNode("a commit is known only after it was offered", "CommitChainTests",
            new Edit("CommitChain.cs", "Volatile.Write(ref _known, commit.Id); // first", "// first"),
            new Edit("CommitChain.cs", "        offer(commit);\n",
                "        offer(commit);\n        Volatile.Write(ref _known, commit.Id);\n")),
        OfNode("the chain offers what comes early", "whichever_part_fails",
            new Edit("CommitChain.cs", "if (commit.Id == _known + 1)", "if (commit.Id > _known)")),
        OfNode("nobody looks how far the database is", "What_a_node_commits_and_dies_before_it_announces",
            new Edit("TailLook.cs", "await ReadAsync(look.LastId, chain.HasHeard(Silence) ? Patience : TimeSpan.Zero, stop);", "")),
        OfNode("the look does not wait for this node's own commit", "TailLookTests",
            new Edit("TailLook.cs", "(time.GetTimestamp(), chain.Begun)", "(time.GetTimestamp(), chain.Begun - 1)")),
        OfNode("the map decides who is pushed to", "What_the_map_has_forgotten",
            new Edit("ClusterAudience.cs", "connection.FallBehind(commit.Id);", "connection.Signal.Set();")),
        OfNode("whoever joins a node is not kept waiting until it knows all", "TailLookTests",
            new Edit("ClusterAudience.cs", "await look.CatchUpAsync()", "await Task.FromResult<Snapshot?>(null)")),
        OfNode("a connection is told what was delivered before it joined", "What_was_delivered_before_a_connection_was_opened",
            new Edit("Deliveries.cs", "_joined[connection] = seen;", "_joined.Clear();")),
    ];

    /// <summary>One of two nodes.</summary>
    private static Break OfNode(string name, string battery, params Edit[] edits) =>
        new(name, battery, edits) { Server = "SimpleChat.ScaleOut" };
}
