using SimpleChat.Wire;

namespace SimpleChat;

/// <summary>Knows who is there, and brings them messages and receipts. The single server's is <see cref="LocalAudience"/>.</summary>
internal interface IAudience
{
    /// <summary>The last message committed. It rises before that message is offered to anybody.</summary>
    long Committed { get; }

    /// <summary>Adds a connection, unless a limit is reached.</summary>
    /// <returns>Null, or the limit that was reached.</returns>
    ValueTask<Refusal?> TryAddAsync(Connection connection);

    /// <summary>Removes this connection, and no other. Does nothing if it is not there.</summary>
    void Remove(Connection connection);

    /// <summary>Whether the user has a connection open; null if that is not known just now.</summary>
    ValueTask<bool?> IsOnlineAsync(string user);

    /// <summary>A message was committed. Called on the writer's thread in commit order; must not wait.</summary>
    /// <param name="origin">The connection that it came over, which got <c>sent</c>; null if it came in a request of its own.</param>
    void Push(Message message, Connection? origin);

    /// <summary>A message has left its recipient's inbox. Must not wait.</summary>
    void Tell(Receipt receipt);

    /// <summary>Storage works again. A commit that seemed to fail may have succeeded, and nobody was told. Must not wait.</summary>
    void Recover();
}
