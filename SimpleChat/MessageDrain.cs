namespace SimpleChat;

/// <summary>
/// The drain of a transport that carries messages and nothing else: no frames come in over it, so there are no answers to write, and receipts
/// have no place in it. It is the one drain of its connection.
/// </summary>
/// <param name="connection">The connection, just joined.</param>
/// <param name="chat">The rules.</param>
/// <param name="time">The clock.</param>
/// <param name="log">Hears of reads that fail.</param>
internal sealed partial class MessageDrain(Connection connection, ChatService chat, TimeProvider time, ILogger log)
{
    /// <summary>After a failed read the database is left alone for so long.</summary>
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(500);

    private Outbox? _outbox; // whose messages the transport has
    private long _passed; // the transport is done with these when it asks for more

    /// <summary>
    /// The next messages, ids rising. None if there are none yet, because the connection was merely woken (<see cref="Connection.Wake"/>) or storage fails:
    /// look around, and ask again. Null when it ends. Asking again says that the last ones were passed on.
    /// </summary>
    public async ValueTask<IReadOnlyList<Message>?> NextAsync()
    {
        connection.Position = Math.Max(connection.Position, _passed);
        GiveBack();
        if (connection.Ending is not null)
            return null;
        _outbox = connection.Take();
        var messages = connection.IsBehind ? await CatchUpAsync() : _outbox.Messages;
        if (messages.Count > 0)
        {
            _passed = messages[^1].Id;
            return messages;
        }

        GiveBack();
        if (!connection.IsBehind)
            await connection.WaitAsync();
        return [];
    }

    private void GiveBack()
    {
        if (_outbox is not null)
            Outbox.Pool.Return(_outbox);
        _outbox = null;
    }

    /// <summary>A page out of the database; empty also if storage fails just now: to be tried again, the connection merely lags meanwhile.</summary>
    private async ValueTask<List<Message>> CatchUpAsync()
    {
        try
        {
            return chat.CatchUp(connection);
        }
        catch (Microsoft.Data.Sqlite.SqliteException e)
        {
            Log.ReadFailed(log, connection.User, ChatDatabase.Explain(e));
            await Task.Delay(RetryPause, time);
            return [];
        }
    }

    private static partial class Log
    {
        [LoggerMessage(14, LogLevel.Debug, "{User} has to wait for messages out of the database: {Fault}")]
        public static partial void ReadFailed(ILogger log, string user, string fault);
    }
}
