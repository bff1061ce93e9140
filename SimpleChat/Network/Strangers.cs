namespace SimpleChat.Network;

/// <summary>The connections of strangers, ordered by when they were last active. The owner locks.</summary>
internal sealed class Strangers
{
    /// <summary>How many connections there are.</summary>
    public int Count { get; private set; }

    /// <summary>The connection that has been idle for longest. The others follow by <see cref="TcpConnection.Newer"/>.</summary>
    public TcpConnection? Oldest { get; private set; }

    /// <summary>The connection that was active last.</summary>
    public TcpConnection? Newest { get; private set; }

    /// <summary>
    /// Chooses the connection that makes room for a newcomer. It takes one without a request, unless all have one. It takes it from the
    /// network with the most connections, so that a crowd displaces its own. Of these it takes the one that has been idle for longest.
    /// </summary>
    public TcpConnection Idlest(TcpConnection newcomer)
    {
        return Of(isBusy: false) ?? Of(isBusy: true) ?? newcomer;

        TcpConnection? Of(bool isBusy)
        {
            Span<int> crowds = stackalloc int[byte.MaxValue + 1];
            crowds.Clear();
            var largest = 0;
            for (var one = Oldest; one is not null && one != newcomer; one = one.Newer)
            {
                if (one.IsBusy == isBusy)
                    largest = Math.Max(largest, ++crowds[one.Network]);
            }

            for (var one = Oldest; one is not null && one != newcomer; one = one.Newer)
            {
                if (one.IsBusy == isBusy && crowds[one.Network] == largest)
                    return one;
            }

            return null;
        }
    }

    /// <summary>Adds a connection as a stranger's, and as the one that was active last.</summary>
    public void Append(TcpConnection connection)
    {
        connection.Whose = TcpConnection.Standing.Stranger;
        (connection.Older, connection.Newer) = (Newest, null);
        if (Newest is null)
            Oldest = connection;
        else
            Newest.Newer = connection;
        Newest = connection;
        Count++;
    }

    /// <summary>Removes a connection that is no longer a stranger's.</summary>
    public void Remove(TcpConnection connection)
    {
        if (connection.Older is null)
            Oldest = connection.Newer;
        else
            connection.Older.Newer = connection.Newer;
        if (connection.Newer is null)
            Newest = connection.Older;
        else
            connection.Newer.Older = connection.Older;
        (connection.Older, connection.Newer) = (null, null);
        Count--;
    }
}
