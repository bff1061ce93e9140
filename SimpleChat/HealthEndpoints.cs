using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Data.Sqlite;

namespace SimpleChat;

/// <summary>For whoever watches over the server: does it answer, and can it do its work? No identity needed.</summary>
internal static class HealthEndpoints
{
    /// <summary>Some that watch ask for no body.</summary>
    private static readonly string[] ReadingMethods = [HttpMethods.Get, HttpMethods.Head];

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods("/alive", ReadingMethods, Alive)
            .WithSummary("The process answers, and takes connections.").Produces<HealthBody>().Refuses(StatusCodes.Status503ServiceUnavailable);
        routes.MapMethods("/health", ReadingMethods, HealthAsync)
            .WithSummary("A message could be stored and read within the last second.").Produces<HealthBody>().Refuses(StatusCodes.Status503ServiceUnavailable);
    }

    private static IResult Alive(HttpContext context, IHostApplicationLifetime lifetime)
    {
        PrivateAnswers.Share(context);
        return lifetime.ApplicationStopping.IsCancellationRequested ? new Refusal(ChatError.ServerStopping) : Is("alive");
    }

    private static async Task<IResult> HealthAsync(HttpContext context, HealthProbe probe)
    {
        PrivateAnswers.Share(context);
        return await probe.FaultAsync() is { } fault
            ? new Refusal(ChatError.StorageUnavailable with { Message = $"Messages cannot be stored: {fault}" })
            : Is("healthy");
    }

    private static JsonHttpResult<HealthBody> Is(string status) => TypedResults.Json(new HealthBody(status), ChatJson.Wire.HealthBody);
}

/// <summary>
/// Whether a message can be stored and read. A probe costs a commit, and strangers may ask: there is one a second at most, and its answer is everybody's.
/// </summary>
internal sealed class HealthProbe(MessageWriter writer, MessageStore store, TimeProvider time)
{
    /// <summary>From the start of one probe to the next one's.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private Task<string?> _latest = Task.FromResult<string?>(null); // under _gate
    private long? _startedAt;

    /// <summary>
    /// What is wrong with storage, in words; null if nothing is. What the writer knows already needs no probe. Otherwise joins the one that is under way,
    /// or takes the answer of the last second's.
    /// </summary>
    public Task<string?> FaultAsync()
    {
        if (writer.Fault is { } fault)
            return Task.FromResult<string?>(fault);
        lock (_gate)
        {
            if (_latest.IsCompleted && !(_startedAt is { } start && time.GetElapsedTime(start) < Interval))
            {
                _startedAt = time.GetTimestamp();
                _latest = ProbeAsync();
            }

            return _latest;
        }
    }

    private async Task<string?> ProbeAsync()
    {
        var probe = new Probe();
        await writer.EnqueueAsync(probe);
        if (!await probe.Written)
            return writer.Fault ?? "the disk does not answer in time.";
        try
        {
            store.Probe();
            return null;
        }
        catch (SqliteException e)
        {
            return ChatDatabase.Explain(e);
        }
    }

    /// <summary>Goes the way of a message, to the disk and back, and leaves nothing there.</summary>
    private sealed class Probe : PendingWrite
    {
        private readonly TaskCompletionSource<bool> _written = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<bool> Written => _written.Task;

        public override void Write(MessageTransaction transaction) => transaction.Touch();

        public override void Committed() => _written.TrySetResult(true);

        public override void Refused() => _written.TrySetResult(false);
    }
}

internal sealed record HealthBody(string Status);
