using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.ScaleOut.Roles;

/// <summary>What became of a message in a batch.</summary>
internal enum Stored : byte
{
    /// <summary>It is not known to be stored.</summary>
    Not,

    /// <summary>It is new.</summary>
    New,

    /// <summary>Its sender had sent it before.</summary>
    Before,
}

/// <summary>
/// A node's batch in a service: asks the service's own transaction for what the node's was asked for, in the same order. Batches of several
/// nodes wait for the same writer, and go into one commit. See <see cref="ServiceTransaction"/>, which writes it.
/// </summary>
internal sealed class Batch
{
    private readonly List<Action<ITransaction>> _items = [];
    private readonly List<Action<BinaryWriter>> _outcomes = [];
    private readonly List<PendingMessage> _messages = [];
    private readonly Func<TimeSpan> _now;
    private readonly TimeSpan _deadline;

    /// <summary>Reads a whole batch.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="now">The service's clock.</param>
    /// <exception cref="EndOfStreamException">It is cut off.</exception>
    /// <exception cref="InvalidDataException">It makes no sense.</exception>
    public Batch(BinaryReader batch, Func<TimeSpan> now)
    {
        (_now, _deadline) = (now, new TimeSpan(batch.ReadInt64()));
        while (TryReadItem(batch))
            ;
        if (batch.BaseStream.Position != batch.BaseStream.Length)
            throw new InvalidDataException("Something follows the batch's end.");
    }

    /// <summary>Roughly how many row operations it takes.</summary>
    public int Cost { get; private set; } = 1;

    /// <summary>Whether its turn came when its node had given up, or might have. Then nothing of it is stored.</summary>
    public bool IsLate { get; private set; }

    /// <summary>Asks for everything in it, within the service's transaction.</summary>
    public void Apply(ITransaction db)
    {
        IsLate = _now() > _deadline;
        if (!IsLate)
            _items.ForEach(item => item(db));
    }

    /// <summary>The new messages that were stored.</summary>
    public IEnumerable<Message> NewMessages =>
        _messages.Where(pending => !pending.IsRepeat).Select(pending => pending.Message).OfType<Message>();

    /// <summary>Writes what became of everything in it.</summary>
    public void WriteOutcomes(BinaryWriter outcome) => _outcomes.ForEach(write => write(outcome));

    private bool TryReadItem(BinaryReader batch)
    {
        switch ((BatchItem)batch.ReadByte())
        {
            case BatchItem.End:
                return false;
            case BatchItem.Store:
                Store(new PendingMessage(batch.ReadDraft()));
                return true;
            case BatchItem.Remove:
                Remove(batch.ReadString(), new IdRange(batch.ReadInt64(), batch.ReadInt64()));
                return true;
            case BatchItem.Erase:
                var ids = batch.ReadAll(batch.ReadInt64);
                Add(db => db.Erase(ids), cost: ids.Count);
                return true;
            case BatchItem.PutWebhook:
                var put = batch.ReadWebhook();
                Add(db => db.Put(put));
                return true;
            case BatchItem.DeleteWebhook:
                var (user, only) = (batch.ReadString(), batch.ReadAll(batch.ReadWebhook).FirstOrDefault());
                Add(db => db.DeleteWebhook(user, only));
                return true;
            case BatchItem.SkipWebhook:
                var (row, upTo) = (batch.ReadWebhook(), batch.ReadInt64());
                Add(db => db.SkipWebhook(row, upTo));
                return true;
            default:
                throw new InvalidDataException("There is no such item.");
        }
    }

    private void Store(PendingMessage message)
    {
        _messages.Add(message);
        Add(db =>
        {
            message.Reset();
            db.Store(message);
        }, cost: 2 + message.Draft.Text.Length / 1024);
        _outcomes.Add(outcome => WriteStored(outcome, message));
    }

    private void Remove(string user, IdRange range)
    {
        var receipts = new List<Receipt>();
        Add(db =>
        {
            receipts.Clear();
            db.Remove(user, range, receipts);
        });
        _outcomes.Add(outcome => outcome.WriteAll(receipts, outcome.WriteReceipt));
    }

    private void Add(Action<ITransaction> item, int cost = 1)
    {
        _items.Add(item);
        Cost += cost;
    }

    /// <summary>A new message's texts and names the node has; of an earlier one it needs all.</summary>
    internal static void WriteStored(BinaryWriter outcome, PendingMessage pending)
    {
        switch (pending)
        {
            case { Message: null }:
                outcome.Write((byte)Stored.Not);
                break;
            case { IsRepeat: true, Message: { } before }:
                outcome.Write((byte)Stored.Before);
                outcome.WriteMessage(before);
                break;
            case { Message: { } message }:
                outcome.Write((byte)Stored.New);
                outcome.Write(message.Id);
                outcome.Write(message.SentAt);
                break;
        }
    }
}
