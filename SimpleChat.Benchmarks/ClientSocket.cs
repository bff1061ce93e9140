using System.Net;
using System.Net.Sockets;
using System.Text;

namespace SimpleChat.Benchmarks;

/// <summary>
/// One client's WebSocket on a bare TCP socket. Everything happens in its receive callback: frames are read where they lie in the buffer,
/// what they call for is collected, and one send carries it away. On Linux all callbacks run on one thread (see <c>Program</c>), elsewhere
/// those of one socket run one after the other.
/// </summary>
/// <param name="port">The server's, on the loopback address.</param>
/// <param name="user">Whose connection it is.</param>
/// <param name="subprotocol"><c>chat</c> or <c>chat.ack</c>.</param>
/// <param name="verdict">Hears of everything unexpected.</param>
/// <param name="receiveBytes">Room for what one receive takes, and for a partial frame.</param>
internal abstract class ClientSocket(int port, string user, string subprotocol, Verdict verdict, int receiveBytes) : IDisposable
{
    /// <summary>Connections from one loopback address, well below its 28,000 ports. Linux has all of 127.0.0.0/8.</summary>
    private const int ConnectionsPerAddress = 8_000;

    private static int _opened;

    private readonly Lock _gate = new();
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly SocketAsyncEventArgs _receive = new();
    private readonly SocketAsyncEventArgs _send = new();
    private readonly byte[] _buffer = new byte[receiveBytes];
    private int _filled;
    private bool _upgraded;
    private volatile bool _isOpen, _isClosing;

    // Under _gate: what waits for the socket, and what it is taking.
    private byte[] _pending = [], _inFlight = [];
    private int _pendingBytes;
    private bool _isSending;

    public string User => user;

    /// <summary>The <c>connected</c> frame has arrived.</summary>
    public bool IsOpen => _isOpen;

    protected Verdict Verdict => verdict;

    /// <summary>Begins to connect; <see cref="OnOpen"/> follows.</summary>
    public void Open()
    {
        _receive.Completed += (_, _) => Advance();
        _send.Completed += (_, _) => Sent();
        if (OperatingSystem.IsLinux())
        {
            // IP_BIND_ADDRESS_NO_PORT: the port is chosen at connect, where fewer are taken.
            _socket.SetRawSocketOption(0, 24, [1, 0, 0, 0]);
            var address = 1 + (Interlocked.Increment(ref _opened) / ConnectionsPerAddress % 250);
            _socket.Bind(new IPEndPoint(new IPAddress([127, 0, 0, (byte)address]), 0));
        }

        _receive.RemoteEndPoint = new IPEndPoint(IPAddress.Loopback, port);
        if (!_socket.ConnectAsync(_receive))
            Advance();
    }

    /// <summary>Ends it politely: a close frame, answered by the server's, then <see cref="OnClosed"/>.</summary>
    public void Close()
    {
        _isClosing = true;
        Put(Wire.Close, [0x03, 0xe8]); // 1000, done
        Flush();
    }

    public void Dispose()
    {
        _isClosing = true;
        _isOpen = false;
        _socket.Dispose();
    }

    /// <summary>The handshake is done.</summary>
    protected virtual void OnUpgraded() { }

    /// <summary>The <c>connected</c> frame came.</summary>
    protected virtual void OnOpen() { }

    /// <summary>A message of ours was confirmed.</summary>
    protected virtual void OnSent(long id) => Unexpected($"sent {id}");

    /// <summary>A message came.</summary>
    protected virtual void OnMessage(long id, ReadOnlySpan<byte> text) => Unexpected($"message {id}");

    /// <summary>A message of ours was delivered.</summary>
    protected virtual void OnDelivered(long id) => Unexpected($"delivered {id}");

    /// <summary>All frames of one receive were read: the time to <see cref="Flush"/>.</summary>
    protected virtual void OnBatch() { }

    /// <summary>The server answered our close frame.</summary>
    protected virtual void OnClosed() { }

    /// <summary>Adds a frame to what the next <see cref="Flush"/> sends.</summary>
    protected void Put(byte opcode, ReadOnlySpan<byte> payload)
    {
        lock (_gate)
            _pendingBytes += Wire.Write(Room(payload.Length + Wire.LongHeader), opcode, payload);
    }

    /// <summary>The same for a frame that is made already, filled in by its owner.</summary>
    protected void Put(SendFrame frame, long number, long micros)
    {
        lock (_gate)
            _pendingBytes += frame.Write(Room(frame.Length), number, micros);
    }

    /// <summary>Sends what was put, unless a send is under way: then that one takes it along afterwards.</summary>
    protected void Flush()
    {
        lock (_gate)
        {
            while (!_isSending && _pendingBytes > 0)
            {
                (_pending, _inFlight) = (_inFlight, _pending);
                _send.SetBuffer(_inFlight, 0, _pendingBytes);
                _pendingBytes = 0;
                try
                {
                    _isSending = _socket.SendAsync(_send);
                }
                catch (ObjectDisposedException)
                {
                    return;
                }

                if (!_isSending)
                    CheckSent();
            }
        }
    }

    private void Sent()
    {
        lock (_gate)
        {
            _isSending = false;
            CheckSent();
            Flush();
        }
    }

    private void CheckSent()
    {
        if (_send.SocketError != SocketError.Success && !_isClosing)
            verdict.Fail($"{user}: sending failed: {_send.SocketError}.");
    }

    private Span<byte> Room(int length)
    {
        if (_pending.Length < _pendingBytes + length)
            Array.Resize(ref _pending, Math.Max(256, 2 * (_pendingBytes + length)));
        return _pending.AsSpan(_pendingBytes);
    }

    /// <summary>Something completed on the receiving side: goes on until the next receive has to wait.</summary>
    private void Advance()
    {
        try
        {
            do
            {
                if (!(_receive.LastOperation == SocketAsyncOperation.Connect ? Connected() : Received()))
                    return;
                _receive.SetBuffer(_buffer, _filled, _buffer.Length - _filled);
            }
            while (!_socket.ReceiveAsync(_receive));
        }
        catch (ObjectDisposedException) when (_isClosing)
        {
        }
        catch (Exception e)
        {
            verdict.Fail(e is NotProvenException ? $"{user}: {e.Message}" : $"{user}: {e}");
        }
    }

    private bool Connected()
    {
        if (_receive.SocketError != SocketError.Success)
        {
            verdict.Fail($"{user}: connecting failed: {_receive.SocketError}.");
            return false;
        }

        lock (_gate)
        {
            var handshake = Wire.Handshake(port, user, subprotocol);
            handshake.CopyTo(Room(handshake.Length));
            _pendingBytes += handshake.Length;
        }

        Flush();
        return true;
    }

    private bool Received()
    {
        if (_receive.SocketError != SocketError.Success || _receive.BytesTransferred == 0)
        {
            if (!_isClosing)
                verdict.Fail($"{user}: the server dropped the connection ({_receive.SocketError}).");
            return false;
        }

        _filled += _receive.BytesTransferred;
        var data = _buffer.AsSpan(0, _filled);
        var used = _upgraded ? 0 : ReadUpgrade(data);
        if (_upgraded)
        {
            if (!TryReadFrames(data, ref used))
                return false;
            OnBatch();
        }

        data[used..].CopyTo(_buffer);
        _filled -= used;
        if (_filled == _buffer.Length)
            throw new NotProvenException($"a frame larger than {_filled} bytes.");
        return true;
    }

    /// <summary>Reads whole frames, from <paramref name="used"/> on. False: the last one has closed the connection.</summary>
    protected virtual bool TryReadFrames(ReadOnlySpan<byte> data, ref int used)
    {
        while (Wire.TryRead(data[used..], out var opcode, out var payload, out var length))
        {
            used += length;
            if (opcode == Wire.Close)
                return Closed(payload);
            OnFrame(opcode, payload);
        }

        return true;
    }

    private int ReadUpgrade(ReadOnlySpan<byte> data)
    {
        var end = data.IndexOf("\r\n\r\n"u8);
        if (end < 0)
            return 0;
        if (!data.StartsWith("HTTP/1.1 101 "u8) || data.IndexOf(Wire.Accepted) < 0)
            throw new NotProvenException($"the upgrade was refused: {Encoding.UTF8.GetString(data)}");
        _upgraded = true;
        OnUpgraded();
        return end + 4;
    }

    private void OnFrame(byte opcode, ReadOnlySpan<byte> payload)
    {
        if (opcode == Wire.Ping)
        {
            Put(Wire.Pong, payload);
            Flush();
            return;
        }

        var type = Wire.TypeOf(payload);
        if (opcode != Wire.Text || _isOpen == (type == (byte)'c'))
            Unexpected(Encoding.UTF8.GetString(payload));
        switch (type)
        {
            case (byte)'s': OnSent(Wire.IdOf(payload)); break;
            case (byte)'m': OnMessage(Wire.IdOf(payload), Wire.TextOf(payload)); break;
            case (byte)'d': OnDelivered(Wire.IdOf(payload)); break;
            case (byte)'c': Opened(); break;
            default: Unexpected(Encoding.UTF8.GetString(payload)); break;
        }
    }

    /// <summary>The server has said that the user is connected.</summary>
    protected void Opened()
    {
        _isOpen = true;
        OnOpen();
    }

    private bool Closed(ReadOnlySpan<byte> payload)
    {
        if (!_isClosing)
            Unexpected($"close frame {(payload.Length < 2 ? 1005 : (payload[0] << 8) + payload[1])}");
        Dispose();
        OnClosed();
        return false;
    }

    /// <exception cref="NotProvenException">Always.</exception>
    protected static void Unexpected(string what) => throw new NotProvenException($"unexpected from the server: {what}");
}
