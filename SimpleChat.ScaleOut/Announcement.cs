using System.Text;

namespace SimpleChat.ScaleOut;

/// <summary>What one node tells another: what was committed, and what was delivered.</summary>
/// <param name="Publisher">Who tells it: the node's incarnation.</param>
/// <param name="After">
/// It names all that was delivered between the announcement with this number and the one with <paramref name="Number"/>, which it is, or
/// repeats. <see cref="Forgotten"/> if the publisher does not know any more.
/// </param>
/// <param name="Number">Counts what the publisher has told this node. One that tells nothing has the number of the one before.</param>
/// <param name="Commits">Messages, ids rising; those without a text concern nobody at the receiver, as far as the publisher knows.</param>
/// <param name="Delivered">Messages that have left their inboxes.</param>
internal sealed record Announcement(
    string Publisher, long After, long Number, IReadOnlyList<Commit> Commits, IReadOnlyList<Delivered> Delivered)
{
    /// <summary>In place of a number: something was delivered that the publisher cannot name.</summary>
    public const long Forgotten = -1;

    /// <summary>Writes it.</summary>
    /// <param name="isThere">Whether the receiver has a connection of this user.</param>
    public byte[] Write(Predicate<string> isThere)
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes, Encoding.UTF8);
        writer.Write(Publisher);
        writer.Write7BitEncodedInt64(After);
        writer.Write7BitEncodedInt64(Number);
        writer.Write7BitEncodedInt(Commits.Count);
        foreach (var commit in Commits)
        {
            var text = isThere(commit.From) || isThere(commit.To) ? commit.Message : null;
            writer.Write7BitEncodedInt64(commit.Id);
            writer.Write(commit.From);
            writer.Write(commit.To);
            writer.Write(text is not null);
            if (text is null)
                continue;
            writer.Write7BitEncodedInt64(text.SentAt);
            writer.WriteText(text.Text);
            writer.Write(commit.Trace);
        }

        writer.Write7BitEncodedInt(Delivered.Count);
        foreach (var (receipt, transaction) in Delivered)
        {
            writer.Write7BitEncodedInt64(receipt.Id);
            writer.Write(receipt.From);
            writer.Write(receipt.To);
            writer.Write7BitEncodedInt64(transaction);
        }

        writer.Flush();
        return bytes.ToArray();
    }

    /// <summary>Reads what <see cref="Write"/> has written.</summary>
    /// <exception cref="IOException">It is cut off.</exception>
    public static Announcement Read(byte[] bytes)
    {
        using var reader = new BinaryReader(new MemoryStream(bytes), Encoding.UTF8);
        var (publisher, after, number) = (reader.ReadString(), reader.Read7BitEncodedInt64(), reader.Read7BitEncodedInt64());
        var commits = new Commit[reader.Read7BitEncodedInt()];
        for (var i = 0; i < commits.Length; i++)
        {
            var (id, from, to) = (reader.Read7BitEncodedInt64(), reader.ReadString(), reader.ReadString());
            if (!reader.ReadBoolean())
            {
                commits[i] = new Commit(id, from, to, null);
                continue;
            }

            var sentAt = reader.Read7BitEncodedInt64();
            var message = new Message(id, from, to, reader.ReadText(), sentAt);
            commits[i] = new Commit(message) { Trace = reader.ReadTrace() };
        }

        var delivered = new Delivered[reader.Read7BitEncodedInt()];
        for (var i = 0; i < delivered.Length; i++)
        {
            var receipt = new Receipt(reader.Read7BitEncodedInt64(), reader.ReadString(), reader.ReadString());
            delivered[i] = new Delivered(receipt, reader.Read7BitEncodedInt64());
        }

        return new Announcement(publisher, after, number, commits, delivered);
    }
}
