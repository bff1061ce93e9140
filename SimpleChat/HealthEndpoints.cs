using Microsoft.Data.Sqlite;

namespace SimpleChat;

/// <summary>For whoever watches over the server: does it answer, and can it do its work? No identity needed.</summary>
internal static class HealthEndpoints
{
    /// <summary>Some that watch ask for no body.</summary>
    private static readonly string[] ReadingMethods = [HttpMethods.Get, HttpMethods.Head];

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods("/alive", ReadingMethods, () => TypedResults.Json(new HealthBody("alive"), ChatJson.Wire.HealthBody))
            .WithSummary("The process answers.").Produces<HealthBody>();
        routes.MapMethods("/health", ReadingMethods, CheckAsync)
            .WithSummary("A message could be stored and read just now.").Produces<HealthBody>().ProducesProblem(StatusCodes.Status503ServiceUnavailable);
    }

    private static async Task<IResult> CheckAsync(MessageWriter writer, MessageStore store)
    {
        var probe = new Probe();
        await writer.EnqueueAsync(probe);
        try
        {
            if (await probe.Written)
            {
                store.Probe();
                return TypedResults.Json(new HealthBody("healthy"), ChatJson.Wire.HealthBody);
            }
        }
        catch (SqliteException e)
        {
            return Unhealthy(ChatDatabase.Explain(e));
        }

        return Unhealthy(writer.Fault ?? "the disk does not answer in time.");
    }

    private static Refusal Unhealthy(string fault) => new(ChatError.StorageUnavailable with { Message = $"Messages cannot be stored: {fault}" });

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
