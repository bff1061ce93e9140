using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// A TCP connection to the server for a thread of its own, which may stay on one core: every call blocks, and what is sent was put together
/// before. Ends by an <see cref="IOException"/> or a <see cref="SocketException"/>, whoever ends it.
/// </summary>
internal sealed class BlockingLine : IDisposable
{
    /// <summary>The address from which attackers come, so that they and the bystanders are not one stranger.</summary>
    public static readonly IPAddress? Elsewhere = OperatingSystem.IsLinux() ? IPAddress.Parse("127.0.0.2") : null;

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private byte[] _buffer = []; // a silent line needs none
    private int _start, _end;

    /// <param name="from">The own address; null for the usual one.</param>
    /// <param name="receiveBuffer">Bytes that the kernel may hold for this end; null for its own choice.</param>
    public BlockingLine(IPAddress? from = null, int? receiveBuffer = null)
    {
        if (receiveBuffer is { } size)
            _socket.ReceiveBufferSize = size;
        if (from is not null)
            _socket.Bind(new IPEndPoint(from, 0));
    }

    /// <summary>Called when it is disposed of.</summary>
    public Action<BlockingLine>? Disposed { get; init; }

    /// <summary>Connects, however long that takes.</summary>
    public void Open(Uri url) => _socket.Connect(IPAddress.Loopback, url.Port);

    /// <summary>Connects. This and every later call may take so long, and no longer.</summary>
    /// <exception cref="IOException">Nobody has taken the connection.</exception>
    public void Open(Uri url, TimeSpan patience)
    {
        _socket.ReceiveTimeout = _socket.SendTimeout = (int)patience.TotalMilliseconds;
        var connecting = _socket.ConnectAsync(IPAddress.Loopback, url.Port);
        if (Task.WaitAny([connecting], patience) < 0)
            throw new IOException("nobody takes the connection");
        connecting.GetAwaiter().GetResult();
    }

    /// <summary>Sends all of it.</summary>
    public void Send(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
            bytes = bytes[_socket.Send(bytes)..];
    }

    /// <summary>Waits until there is something to read, or for <paramref name="wait"/>.</summary>
    public bool HasArrived(TimeSpan wait) => _end > _start || _socket.Poll(wait, SelectMode.SelectRead);

    /// <summary>Takes at most <paramref name="count"/> bytes, and forgets them.</summary>
    public void Take(int count)
    {
        if (_socket.Receive(new byte[count]) == 0)
            throw new EndOfStreamException();
    }

    /// <summary>Reads an HTTP response, and forgets its body.</summary>
    /// <returns>Its status; from 101 on the line carries frames.</returns>
    public int ReadStatus()
    {
        var status = int.Parse(ReadLine().Split(' ')[1], CultureInfo.InvariantCulture);
        var (length, isChunked) = (0L, false);
        while (ReadLine() is { Length: > 0 } header)
        {
            if (header.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase))
                length = long.Parse(header.AsSpan("Content-Length:".Length), CultureInfo.InvariantCulture);
            isChunked |= header.StartsWith("Transfer-Encoding:", StringComparison.OrdinalIgnoreCase);
        }

        if (!isChunked)
        {
            Skip(length);
            return status;
        }

        long chunk;
        do
        {
            chunk = long.Parse(ReadLine(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            Skip(chunk + "\r\n".Length);
        }
        while (chunk > 0);
        return status;
    }

    /// <summary>Reads a frame.</summary>
    /// <param name="payload">What is in it, until the next call.</param>
    /// <returns>Its opcode.</returns>
    public int ReadFrame(out ReadOnlySpan<byte> payload)
    {
        Fill(2);
        var (opcode, length, header) = (_buffer[_start] & 15, _buffer[_start + 1] & 127, 2);
        if (length == 126)
        {
            Fill(header = 4);
            length = BinaryPrimitives.ReadUInt16BigEndian(_buffer.AsSpan(_start + 2));
        }
        else if (length == 127)
        {
            Fill(header = 10);
            length = checked((int)BinaryPrimitives.ReadUInt64BigEndian(_buffer.AsSpan(_start + 2)));
        }

        Fill(header + length);
        payload = _buffer.AsSpan(_start + header, length);
        _start += header + length;
        return opcode;
    }

    /// <summary>Leaves without a word: with a reset, so that a machine does not run out of ports for those who come and go.</summary>
    public void Dispose()
    {
        try
        {
            _socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It is over already.
        }

        _socket.Dispose();
        Disposed?.Invoke(this);
    }

    private string ReadLine()
    {
        int length;
        while ((length = _buffer.AsSpan(_start, _end - _start).IndexOf("\r\n"u8)) < 0)
            Fill(_end - _start + 1);
        var line = Encoding.Latin1.GetString(_buffer, _start, length);
        _start += length + 2;
        return line;
    }

    private void Skip(long count)
    {
        for (; count > _end - _start; Fill(1))
        {
            count -= _end - _start;
            _start = _end = 0;
        }

        _start += (int)count;
    }

    /// <summary>Receives until so many bytes are in the buffer.</summary>
    private void Fill(int count)
    {
        if (_start == _end)
            _start = _end = 0;
        while (_end - _start < count)
        {
            if (_start + count > _buffer.Length)
            {
                var larger = _buffer.Length < count ? new byte[Math.Max(16 * 1024, 2 * count)] : _buffer;
                _buffer.AsSpan(_start, _end - _start).CopyTo(larger);
                (_buffer, _start, _end) = (larger, 0, _end - _start);
            }

            var received = _socket.Receive(_buffer.AsSpan(_end));
            if (received == 0)
                throw new EndOfStreamException();
            _end += received;
        }
    }
}
