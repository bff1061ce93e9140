using System.Text;

namespace SimpleChat.Benchmarks;

/// <summary>
/// A user of the <see cref="PeerServer"/>: speaks SignalR's JSON protocol over the same bare socket
/// (https://github.com/dotnet/aspnetcore/blob/main/src/SignalR/docs/specs/HubProtocol.md). What it sends and proves is the same.
/// </summary>
internal sealed class PeerUser(int port, int number, Crowd crowd, SendFrame frame, int window)
    : ChatUser(port, number, crowd, frame, window)
{
    private const byte RecordEnd = 0x1e;

    private byte[] _records = new byte[4096]; // SignalR writes several records into one message, and a large message in fragments
    private int _length;

    protected override void OnUpgraded()
    {
        Put(Wire.Text, "{\"protocol\":\"json\",\"version\":1}\u001e"u8);
        Flush();
    }

    protected override bool TryReadFrames(ReadOnlySpan<byte> data, ref int used)
    {
        while (Wire.TryRead(data[used..], out var opcode, out var payload, out var length, fragments: true))
        {
            used += length;
            if (opcode is not (Wire.Text or Wire.Continuation))
                Unexpected($"a frame with opcode {opcode}");
            if (_records.Length < _length + payload.Length)
                Array.Resize(ref _records, 2 * (_length + payload.Length));
            payload.CopyTo(_records.AsSpan(_length));
            _length += payload.Length;
        }

        var records = _records.AsSpan(0, _length);
        for (var end = records.IndexOf(RecordEnd); end >= 0; end = records.IndexOf(RecordEnd))
        {
            OnRecord(records[..end]);
            records = records[(end + 1)..];
        }

        records.CopyTo(_records);
        _length = records.Length;
        return true;
    }

    private void OnRecord(ReadOnlySpan<byte> record)
    {
        if (record.StartsWith("{\"type\":1,\"target\":\"message\",\"arguments\":["u8))
        {
            var arguments = record[(record.IndexOf((byte)'[') + 1)..];
            var text = arguments[(arguments.IndexOf("\",\""u8) + 3)..];
            OnMessage(Wire.Number(arguments), text[..text.LastIndexOf((byte)'"')]);
        }
        else if (record.StartsWith("{\"type\":3,"u8) && record.IndexOf("\"result\":"u8) is > 0 and var at)
        {
            OnSent(Wire.Number(record[(at + "\"result\":"u8.Length)..]));
        }
        else if (record.StartsWith("{\"type\":1,\"target\":\"connected\""u8))
        {
            Opened();
        }
        else if (!record.SequenceEqual("{}"u8) && !record.SequenceEqual("{\"type\":6}"u8)) // the handshake's answer, and a ping
        {
            Unexpected(Encoding.UTF8.GetString(record));
        }
    }
}
