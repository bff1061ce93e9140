namespace SimpleChat.Tests.Batteries;

// What comes over a connection, and how it ends.
internal sealed partial record Break
{
    private static Break[] OfDelivery =>
    [
        new("a peer that vanished stays in the map", nameof(NetworkBattery),
            new Edit("Chat.cs", "public void Leave(Connection connection) => audience.Remove(connection);", """
                public void Leave(Connection connection)
                {
                    if (connection.Ending != ConnectionEnd.PeerGone)
                        audience.Remove(connection);
                }
                """)),
        new("a peer that takes nothing is never dropped", nameof(NetworkBattery),
            new Edit("Sending.cs", "return _stall.WatchAsync(sending);", "return sending;")),
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
            new Edit("Connections.cs", "if (others.Length == 0)", "if (others.Length >= 0)")),

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

        new("what was sent over a connection that was behind comes back",
            nameof(InboxTests.However_much_a_connection_sends_and_gets_meanwhile_none_of_its_own_comes_back),
            new Edit("Connection.cs", "return message.From == User && message.To != User && _own?.Contain(message.Id) == true;",
                "return false;")),
        new("what was sent over a connection does not move its position",
            nameof(ConnectionTests.What_was_sent_over_a_connection_that_has_everything_moves_its_position),
            new Edit("Connection.cs", "                _position = id;", "                ;")),
        new("what was sent from elsewhere meanwhile passes for a connection's own",
            nameof(ConnectionTests.What_was_sent_while_a_connection_was_behind_is_its_own_and_what_was_sent_from_elsewhere_is_not),
            new Edit("Connection.cs", "_own?.EndSpan(); // sent over another connection of this user", ";")),

        new("an empty fragment counts towards the size",
            nameof(ClosingTests.Empty_fragments_are_allowed_and_count_nothing_towards_the_size),
            new Edit("Receiving.cs", "length += part.Count;", "length += Math.Max(part.Count, 1);")),

        new("who streams and has vanished is online for ever", nameof(VanishedPeerTests),
            new Edit("PeerSocket.cs", "if (HasVanished())\n            _context.Abort();", "HasVanished();")),
        new("a stream may stall for ever",
            nameof(ServerSentEventsTests.I4_A_stream_that_nobody_takes_ends_after_the_send_time_out_and_its_messages_stay),
            new Edit("InboxStream.cs", "return _stall.WatchAsync(FlushAsync());", "return FlushAsync();")),

        new("readers hold as many pages as they like",
            nameof(LimitsTests.I8_Readers_that_take_nothing_wait_for_each_other_and_do_not_fill_the_memory),
            new Edit("PageRoom.cs", "_free = new(pages);", "_free = new(int.MaxValue);"),
            new Edit("PageRoom.cs", "Math.Max(1, pages / PartOfRoom)", "int.MaxValue")),
        new("a page of catching up is bounded in rows alone",
            nameof(PageRoomTests.A_page_ends_when_its_texts_are_128_KiB_and_says_how_far_it_goes),
            new Edit("Page.cs", "text >= MaxText", "text >= int.MaxValue")),
        new("who is woken for room and takes none keeps it to itself",
            nameof(PageRoomTests.Who_is_woken_for_room_and_takes_none_passes_it_on),
            new Edit("PageRoom.cs", "if (!_isTaken && _grant?.IsCompleted == true)", "if (_noLonger is null)")),
        new("who leaves keeps the room that it was woken for",
            nameof(PageRoomTests.Who_leaves_after_being_woken_passes_the_room_on),
            new Edit("PageRoom.cs", "_ = GiveBackAsync(_grant);", "")),
        new("a drain that needs no room any more keeps it to itself",
            nameof(PageRoomTests.A_drain_that_was_woken_for_room_and_has_nothing_large_any_more_passes_it_on),
            new Edit("Drain.cs", "_place.PassOn();", "")),
    ];
}
