namespace SimpleChat.Network;

/// <summary>The connections of strangers, from the one that has done nothing for longest to the latest. Its owner locks.</summary>
internal sealed class Strangers
{
    /// <summary>How many there are.</summary>
    public int Count { get; private set; }

    /// <summary>The one that has done nothing for longest; the others follow by <see cref="TcpConnection.Newer"/>.</summary>
    public TcpConnection? Oldest { get; private set; }

    /// <summary>The latest that did something.</summary>
    public TcpConnection? Newest { get; private set; }

    /// <summary>
    /// Who makes room for a newcomer. Of the network that holds most, so that a crowd from one place displaces its own; the
    /// one that has done nothing for longest; in the middle of a request only if all are.
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

    /// <summary>It is a stranger's, and the latest that did something.</summary>
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

    /// <summary>It is no stranger's any more.</summary>
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
