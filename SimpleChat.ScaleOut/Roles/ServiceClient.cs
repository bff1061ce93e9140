using System.Net;
using System.Net.Http.Headers;
using System.Text;

namespace SimpleChat.ScaleOut.Roles;

/// <summary>
/// The services, as a node of role <c>connections</c> sees them: it asks one, and goes on to the next when that one fails. It connects
/// again by itself.
/// </summary>
internal sealed class ServiceClient : IDisposable
{
    /// <summary>How long a connection may take.</summary>
    private static readonly TimeSpan ConnectPatience = TimeSpan.FromSeconds(1.5);

    /// <summary>How long the first call to a service may take.</summary>
    private static readonly TimeSpan HelloPatience = TimeSpan.FromSeconds(2);

    /// <summary>How long a read may take. The service's own limit is <see cref="PostgresAddress.ReadTimeout"/>.</summary>
    private static readonly TimeSpan ReadPatience = TimeSpan.FromMilliseconds(PostgresAddress.ReadTimeout + 500);

    /// <summary>How often a silent connection is pinged, and how long its answer may take: a cut cable is noticed.</summary>
    private static readonly TimeSpan Ping = TimeSpan.FromSeconds(2);

    /// <summary>Faults of a call whose service was never reached.</summary>
    private static readonly HttpRequestError[] NotConnected =
        [HttpRequestError.ConnectionError, HttpRequestError.NameResolutionError, HttpRequestError.SecureConnectionError];

    private readonly Service[] _services;
    private readonly AuthenticationHeaderValue _secret;
    private readonly TimeProvider _time;
    private readonly HttpMessageInvoker _batches = NewInvoker(), _reads = NewInvoker(); // so that no read waits behind a large batch
    private int _current;

    public ServiceClient(ScaleOutOptions options, TimeProvider time)
    {
        _services = [.. options.Services.Select(url => new Service(url))];
        _secret = new AuthenticationHeaderValue("Bearer", options.Secret);
        _time = time;
    }

    /// <summary>Asks how far the database is.</summary>
    /// <returns>The highest id that was ever given out.</returns>
    /// <exception cref="ServiceFault">No service can be used. The message says why, of each.</exception>
    public Task<long> HelloAsync() => AskInTurnAsync(HelloAsync);

    /// <summary>Sends a batch to one service. If it is not known what became of it, it is not sent to another.</summary>
    /// <param name="write">Writes the batch.</param>
    /// <param name="read">Reads what became of it.</param>
    /// <exception cref="ServiceFault">It is not known to be stored.</exception>
    public Task<T> StoreAsync<T>(Action<BinaryWriter> write, Func<BinaryReader, T> read) => AskInTurnAsync(async service =>
    {
        if (service.ClockAhead is null)
            await HelloAsync(service);
        var deadline = Now + service.ClockAhead!.Value + InnerWire.BatchDeadline;
        try
        {
            return await AskAsync(_batches, service, "store", InnerWire.BatchPatience, ask =>
            {
                ask.Write(deadline.Ticks);
                write(ask);
            }, read);
        }
        catch (ServiceFault)
        {
            service.ClockAhead = null; // it may come back as another
            throw;
        }
    });

    /// <summary>Reads. If a service fails, another is asked.</summary>
    /// <param name="call">What is asked.</param>
    /// <param name="write">Writes the arguments.</param>
    /// <param name="read">Reads the answer.</param>
    /// <exception cref="ServiceFault">It could not be read.</exception>
    public Task<T> ReadAsync<T>(string call, Action<BinaryWriter> write, Func<BinaryReader, T> read)
    {
        var started = Now;
        return AskInTurnAsync(async service =>
        {
            try
            {
                return await AskAsync(_reads, service, call, ReadPatience - (Now - started), write, read);
            }
            catch (ServiceFault e) when (e.InnerException is HttpRequestException or IOException)
            {
                throw new ServiceFault(e.Message, wasAsked: false, e); // to read twice is harmless
            }
        });
    }

    public void Dispose()
    {
        _batches.Dispose();
        _reads.Dispose();
    }

    /// <summary>A clock that nobody sets, and that goes on while the process stands still. Each machine has its own.</summary>
    private TimeSpan Now => _time.GetElapsedTime(0);

    private async Task<T> AskInTurnAsync<T>(Func<Service, Task<T>> ask)
    {
        List<string>? faults = null;
        for (var first = Volatile.Read(ref _current); ; first++)
        {
            try
            {
                return await ask(_services[first % _services.Length]);
            }
            catch (ServiceFault e)
            {
                Volatile.Write(ref _current, (first + 1) % _services.Length);
                (faults ??= []).Add(e.Message);
                if (e.WasAsked || faults.Count == _services.Length)
                    throw faults.Count == 1 ? e : new ServiceFault(string.Join(" ", faults.Order()), e.WasAsked, e);
            }
        }
    }

    private async Task<long> HelloAsync(Service service)
    {
        try
        {
            var (last, clock) = await AskAsync(_batches, service, "hello", HelloPatience, ask => { },
                answer => (answer.ReadInt64(), new TimeSpan(answer.ReadInt64())));
            service.ClockAhead = clock - Now; // less what the answer took: a deadline is rather too early
            return last;
        }
        catch (ServiceFault e)
        {
            throw new ServiceFault(e.Message, wasAsked: false, e);
        }
    }

    private async Task<T> AskAsync<T>(
        HttpMessageInvoker way, Service service, string call, TimeSpan patience, Action<BinaryWriter> write, Func<BinaryReader, T> read)
    {
        using var timeout = new CancellationTokenSource(patience > TimeSpan.Zero ? patience : TimeSpan.Zero, _time);
        try
        {
            using var body = new MemoryStream();
            using (var writer = new BinaryWriter(body, Encoding.UTF8, leaveOpen: true))
                write(writer);
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(service.Url, InnerWire.PathOf(call)))
            {
                Version = HttpVersion.Version20,
                VersionPolicy = HttpVersionPolicy.RequestVersionExact,
                Content = new ByteArrayContent(body.GetBuffer(), 0, (int)body.Length),
            };
            request.Headers.Authorization = _secret;
            using var response = await way.SendAsync(request, timeout.Token);
            var answer = await response.Content.ReadAsByteArrayAsync(timeout.Token);
            if (response.StatusCode != HttpStatusCode.OK)
                throw Refused(service, response.StatusCode, answer);
            using var reader = new BinaryReader(new MemoryStream(answer), Encoding.UTF8);
            return read(reader);
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or IOException or FormatException)
        {
            throw Broke(service, e, timeout.IsCancellationRequested);
        }
    }

    private static ServiceFault Refused(Service service, HttpStatusCode status, byte[] answer) => status switch
    {
        HttpStatusCode.Unauthorized => new ServiceFault($"{service} does not know this node's ScaleOut:Secret.", wasAsked: false),
        HttpStatusCode.NotFound => new ServiceFault($"{service} is of another release.", wasAsked: false),
        HttpStatusCode.Gone => new ServiceFault($"{service} is stopping.", wasAsked: false),
        HttpStatusCode.ServiceUnavailable => new ServiceFault($"{service} says: {Encoding.UTF8.GetString(answer)}", wasAsked: true),
        _ => new ServiceFault($"{service} answered {(int)status}.", wasAsked: true),
    };

    private static ServiceFault Broke(Service service, Exception e, bool isTimeout) => e switch
    {
        OperationCanceledException when isTimeout => new ServiceFault($"{service} does not answer in time.", wasAsked: true, e),
        OperationCanceledException => new ServiceFault($"{service} cannot be reached in time.", wasAsked: false, e),
        HttpRequestException http when NotConnected.Contains(http.HttpRequestError) =>
            new ServiceFault($"{service} cannot be reached: {Explain(e)}", wasAsked: false, e),
        _ => new ServiceFault($"{service} broke off: {Explain(e)}", wasAsked: true, e),
    };

    private static string Explain(Exception e) => $"{(e.InnerException ?? e).Message.ReplaceLineEndings(" ").TrimEnd('.')}.";

    private static HttpMessageInvoker NewInvoker() => new(new SocketsHttpHandler
    {
        UseProxy = false,
        UseCookies = false,
        AllowAutoRedirect = false,
        ConnectTimeout = ConnectPatience,
        EnableMultipleHttp2Connections = true,
        KeepAlivePingDelay = Ping,
        KeepAlivePingTimeout = Ping,
    });

    private sealed class Service(string url)
    {
        public Uri Url { get; } = new(url);

        /// <summary>
        /// How far its clock is ahead of this node's; null before the first call, and after a fault. The writer's thread alone uses it.
        /// </summary>
        public TimeSpan? ClockAhead { get; set; }

        public override string ToString() => $"The service at {Url.GetLeftPart(UriPartial.Authority)}";
    }
}
