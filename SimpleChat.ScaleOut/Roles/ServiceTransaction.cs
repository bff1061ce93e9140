using System.Text;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.ScaleOut.Roles;

/// <summary>What stands in a batch.</summary>
internal enum BatchItem : byte
{
    End,
    Store,
    Remove,
    Erase,
    PutWebhook,
    DeleteWebhook,
    SkipWebhook,
}

/// <summary>Writes down what the writer asks for, and sends it to a service in one call: a <see cref="Batch"/>.</summary>
/// <param name="client">Sends it.</param>
/// <param name="chain">Hears when a commit of this node begins and ends.</param>
/// <param name="deliveries">Hears in which transaction messages have left their inboxes.</param>
/// <param name="lastId">The highest id that was ever given out.</param>
internal sealed class ServiceTransaction(ServiceClient client, CommitChain chain, Deliveries deliveries, long lastId) : IGatheredTransaction
{
    private readonly List<Action<BinaryReader>> _outcomes = []; // each reads what became of its item
    private MemoryStream _items = new();
    private BinaryWriter _writer = new(Stream.Null);
    private bool _stores;
    private long _lastNew;

    public long LastId { get; private set; } = lastId;

    public void Begin()
    {
        _items = new MemoryStream();
        _writer = new BinaryWriter(_items, Encoding.UTF8);
        _outcomes.Clear();
        (_stores, _lastNew) = (false, 0);
    }

    public void Store(PendingMessage message)
    {
        _stores = true;
        Add(BatchItem.Store).WriteDraft(message.Draft);
        _outcomes.Add(outcome => ReadStored(outcome, message));
    }

    public void Remove(string user, IdRange range, List<Receipt> receipts)
    {
        var item = Add(BatchItem.Remove);
        item.Write(user);
        item.Write(range.First);
        item.Write(range.Last);
        _outcomes.Add(outcome => receipts.AddRange(outcome.ReadAll(outcome.ReadReceipt)));
    }

    public void Erase(List<long> ids) => Add(BatchItem.Erase).WriteAll<long>(ids, _writer.Write);

    public void Put(WebhookRow row) => Add(BatchItem.PutWebhook).WriteWebhook(row);

    public void DeleteWebhook(string user, WebhookRow? only)
    {
        var item = Add(BatchItem.DeleteWebhook);
        item.Write(user);
        item.WriteAll(only is null ? [] : (WebhookRow[])[only], item.WriteWebhook);
    }

    public void SkipWebhook(WebhookRow row, long upTo)
    {
        var item = Add(BatchItem.SkipWebhook);
        item.WriteWebhook(row);
        item.Write(upTo);
    }

    public void Commit()
    {
        Add(BatchItem.End);
        _writer.Flush();
        if (_stores)
            chain.CommitBegins();
        try
        {
            LastId = client.StoreAsync(
                batch => batch.Write(_items.GetBuffer(), 0, (int)_items.Length), ReadOutcomes).GetAwaiter().GetResult();
        }
        catch
        {
            _lastNew = 0;
            throw;
        }
        finally
        {
            if (_stores)
                chain.CommitEnds(_lastNew);
        }
    }

    public void Dispose() => _writer.Dispose();

    private BinaryWriter Add(BatchItem item)
    {
        _writer.Write((byte)item);
        return _writer;
    }

    /// <returns>The highest id that was ever given out.</returns>
    private long ReadOutcomes(BinaryReader outcome)
    {
        foreach (var read in _outcomes)
            read(outcome);
        deliveries.Committed = outcome.ReadInt64();
        return outcome.ReadInt64();
    }

    /// <summary>See <see cref="Batch.WriteStored"/>.</summary>
    private void ReadStored(BinaryReader outcome, PendingMessage message)
    {
        var draft = message.Draft;
        switch ((Stored)outcome.ReadByte())
        {
            case Stored.New:
                _lastNew = outcome.ReadInt64();
                message.Became(new Message(_lastNew, draft.From, draft.To, draft.Text, outcome.ReadInt64()), isRepeat: false);
                break;
            case Stored.Before:
                message.Became(outcome.ReadMessage(), isRepeat: true);
                break;
        }
    }
}
