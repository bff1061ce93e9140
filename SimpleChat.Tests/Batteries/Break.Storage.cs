namespace SimpleChat.Tests.Batteries;

// What is stored: commits, files, pages and positions.
internal sealed partial record Break
{
    private static Break[] OfStorage =>
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
            new Edit("Writer.cs", "Apply(batch, _transaction);", "Apply([.. batch.AsEnumerable().Reverse()], _transaction);")),

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

        new("sentAt follows the clock", nameof(ClockBattery),
            new Edit("Transaction.cs", "Math.Max(draft.ReceivedAt, _lastSentAt)", "draft.ReceivedAt")),
        new("sentAt starts anew with the process", nameof(ClockBattery),
            new Edit("Transaction.cs", "(_last.Int64(0), _last.Int64(1))", "(_last.Int64(0), 0)")),

        new("a token's end is looked for once", nameof(ClockBattery),
            new Edit("WebSocketLine.cs", "_expiry!.Change(left < look ? left : look,", "_expiry!.Change(left,")),

        new("receipts that found no room are lost",
            nameof(WriterTests.I4_Receipts_that_found_no_room_come_also_to_a_reader_that_has_messages_waiting),
            new Edit("Outbox.cs", "MissedReceipts = IdRange.Around(MissedReceipts, new IdRange(missed.Id, missed.Id));", "_ = missed;")),
        new("a commit of unknown outcome forgets its receipts",
            nameof(WriterTests.I9_A_commit_that_seems_to_fail_and_is_on_disk_all_the_same_is_news_to_everyone_receipts_included),
            new Edit("Steps.cs", "_receipts.RemoveAll(receipt => db.IsInInbox(receipt.To, receipt.Id));\n        Tell();", "")),
        new("an ack whose commit failed is told to the senders",
            nameof(WriterTests.I2_An_ack_whose_commit_failed_tells_nobody_that_the_message_was_delivered),
            new Edit("Steps.cs", "_receipts.RemoveAll(receipt => db.IsInInbox(receipt.To, receipt.Id));", "")),

        new("a stalled reader holds up the last checkpoint",
            nameof(ShutdownTests.On_SIGTERM_peers_that_are_idle_silent_or_stalled_do_not_hold_it_up),
            new Edit("StallWatch.cs", "LastPatience = TimeSpan.FromSeconds(1)", "LastPatience = TimeSpan.FromSeconds(30)")),

        new("a page without rows counts as the last one",
            nameof(HistoryTests.I11_Rows_that_are_gone_end_no_page_no_resume_and_no_replay),
            new Edit("Drain.cs", "ReadMessagesAsync(CatchUp range)\n    {",
                "ReadMessagesAsync(CatchUp range)\n    {\n" +
                "        range = range with { UpTo = Math.Min(range.UpTo, range.After + Page.Size) };"),
            new Edit("Drain.cs", "(0, false) : (_upTo, true)", "(0, false) : (_upTo, outbox.Messages.Count + outbox.Receipts.Count > 0)")),

        new("a position does not say when its message was sent",
            nameof(PositionTests) + ".I11_After_a_backup_was_put_back",
            new Edit("MessageReader.cs", "WHERE Id = ?2 AND SentAt = ?3 AND", "WHERE Id = ?2 AND ?3 IS NOT NULL AND")),
        new("a position may be of anybody's message",
            nameof(PositionTests.I11_A_message_that_this_user_neither_sent_nor_received_at_that_time_is_answered_409),
            new Edit("MessageReader.cs", "AND (Sender = ?1 OR Recipient = ?1)", "AND ?1 IS NOT NULL")),
        new("a position that cannot be proved is believed",
            nameof(PositionTests.I11_A_position_that_storage_cannot_prove_just_now_is_answered_503),
            new Edit("IMessageReader.cs", "return (null, Refusal.StorageUnreadable);", "return (place.Id, null);")),

        new("a file is locked before anybody knows whose it is",
            nameof(StartTests.A_database_of_something_else_stops_it_and_stays_as_it_is_with_nothing_beside_it),
            new Edit("Database.cs", "DatabaseFile.RequireOurs(_address.Path);\n            _lock.Take();",
                "_lock.Take();\n            DatabaseFile.RequireOurs(_address.Path);")),
        new("files that everybody may read stay so",
            nameof(StartTests.Its_files_are_their_owners_alone_also_those_that_an_older_version_made),
            new Edit("Database.cs", "DatabaseFile.CloseToOthers(_address.Path);", "")),
        new("the lock is written through a symbolic link",
            nameof(StartTests.A_lock_that_is_a_symbolic_link_stops_it_and_nothing_is_written_through_it),
            new Edit("Linux.cs", "CloseOnExec | s_noFollow | (create", "CloseOnExec | (create")),
        new("what is deleted stays in the file",
            nameof(WebhookTests.A_secret_is_gone_from_the_files_soon_after_its_replacement_and_its_deletion),
            new Edit("Transaction.Webhooks.cs", "Execute(\"PRAGMA secure_delete = ON\");", "")),
        new("what is deleted stays in the log",
            nameof(WebhookTests.A_secret_is_gone_from_the_files_soon_after_its_replacement_and_its_deletion),
            new Edit("LogEraser.cs", "_isDue = _timer.Change(Interval, Timeout.InfiniteTimeSpan);", "_isDue = true;")),

        new("the database itself is not locked",
            nameof(StartTests.Whatever_NET_is_told_about_locks_a_second_server_is_stopped_by_any_name_of_the_file),
            new Edit("DatabaseLock.cs", "if (OperatingSystem.IsLinux() && Environment.Is64BitProcess)",
                "if (OperatingSystem.IsWindows())")),
        new("nobody tries whether a lock keeps anybody out", nameof(StartTests.A_file_system_on_which_locks_keep_nobody_out_stops_it),
            new Edit("DatabaseLock.cs", "if (take(second) == 0)", "if (take(second) < 0)")),

        new("a fault of storage at the start is told in SQLite's words", nameof(StartTests.A_shell_that_holds_a_lock_stops_it),
            new Edit("Database.cs", "catch (Exception e) when (e is not StartException)", "catch (IOException e)")),
        new("messages that a crash left are not indexed at the start",
            nameof(StartTests.Damaged_pages_under_messages_that_are_not_indexed_yet_stop_it),
            new Edit("MessageIndex.cs", "UnindexedMessages.Index(prepare);", "")),
        new("what somebody else has erased is indexed all the same",
            nameof(OperationsTests.What_is_erased_before_a_running_server_has_indexed_it_is_never_indexed),
            new Edit("MessageIndex.cs", "if (version != _seenVersion)", "if (version < 0)")),

        new("a write that the database refuses takes its batch with it",
            nameof(WriterTests.I9_A_write_that_the_database_refuses_or_that_throws_fails_alone_and_its_neighbours_are_stored),
            new Edit("Writer.cs", "(isRepeated, i) = (true, -1);", "break;")),
        new("half of a write that the database refuses is stored",
            nameof(WriterTests.I9_A_write_that_the_database_refuses_or_that_throws_fails_alone_and_its_neighbours_are_stored),
            new Edit("Writer.cs", "                transaction.Rollback();\n                transaction.Begin();\n", "")),
    ];

    private static Break ConfirmedBeforeCommit(string battery) => new("confirmed before COMMIT", battery,
        new Edit("Writer.cs", "_transaction.Commit();", """
            foreach (var write in batch)
                write.Committed();
            _transaction.Commit();
            """),
        new Edit("Writer.cs", "Answer(write, isStored);", ""));
}
