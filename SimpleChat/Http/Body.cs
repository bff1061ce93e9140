using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using SimpleChat.Limits;
using SimpleChat.Settings;
using SimpleChat.Wire;

namespace SimpleChat.Http;

/// <summary>Reads the JSON body of a request. The limits are those of a frame, whichever endpoint it is for.</summary>
internal static class Body
{
    /// <summary>
    /// Reads the body to its end: at most <see cref="ChatOptions.MaxMessageBytes"/>, within <see cref="ChatOptions.MessageTimeout"/>.
    /// <paramref name="parse"/> gets the whole body. It must not keep the bytes, because the buffer is used again.
    /// </summary>
    /// <returns>The result of <paramref name="parse"/>, or the refusal: 400, 408, 413 or 415.</returns>
    public static async ValueTask<(T? Value, Refusal? Refusal)> ReadAsync<T>(
        HttpContext context, UserShare share, ChatOptions options, TimeProvider time, Func<ReadOnlyMemory<byte>, T> parse)
    {
        if (context.Request.ContentType is not null && !context.Request.HasJsonContentType())
            return (default, NotJson);
        if (context.Request.ContentLength > options.MaxMessageBytes)
            return (default, TooBig(options));
        if (context.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate)
            rate.MinDataRate = null; // Chat:MessageTimeout limits how slow a sender may be
        var buffer = ArrayPool<byte>.Shared.Rent(options.MaxMessageBytes + 1);
        try
        {
            var body = context.Request.BodyReader;
            using var deadline = new CancellationTokenSource(options.MessageTimeout, time);
            // A cancellation token would leave the read under way, and Kestrel would fail on it later.
            using var impatience = deadline.Token.Register(body.CancelPendingRead);
            var length = 0;
            ReadResult part;
            do
            {
                part = await body.ReadAsync(context.RequestAborted);
                var wanted = part.Buffer.Slice(0, Math.Min(part.Buffer.Length, options.MaxMessageBytes + 1 - length));
                wanted.CopyTo(buffer.AsSpan(length));
                length += (int)wanted.Length;
                body.AdvanceTo(wanted.End);
                if (deadline.IsCancellationRequested)
                    return (default, TooSlow);
            }
            while (!part.IsCompleted && length <= options.MaxMessageBytes);

            return length > options.MaxMessageBytes
                ? (default, TooBig(options))
                : (await share.ReadBodyAsync(() => parse(buffer.AsMemory(0, length)), context.RequestAborted), null);
        }
        catch (OperationCanceledException)
        {
            return (default, Malformed); // the caller has left, and does not see it
        }
        catch (IOException e) // chunks that are malformed or too large, or an end before the announced one
        {
            return (default, Malformed with { Status = (e as BadHttpRequestException)?.StatusCode ?? Malformed.Status });
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Refuses a body that is not said to be JSON.</summary>
    public static readonly Refusal NotJson =
        new(null, "Send JSON, and say so: Content-Type: application/json.", StatusCodes.Status415UnsupportedMediaType);

    private static Refusal TooBig(ChatOptions options) =>
        new(null, $"The body is over {options.MaxMessageBytes} bytes (Chat:MaxMessageBytes).", StatusCodes.Status413PayloadTooLarge);

    private static readonly Refusal Malformed = new(null, "The body is not what its headers announce.");
    private static readonly Refusal TooSlow =
        new(null, "The body took too long to arrive whole (Chat:MessageTimeout).", StatusCodes.Status408RequestTimeout);
}
