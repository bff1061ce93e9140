using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.Http;

/// <summary>Makes endpoints that read the database answer 503 while it cannot be read.</summary>
internal static class StorageFaults
{
    /// <summary>Answers 503 when an endpoint of the group throws a fault of storage.</summary>
    public static RouteGroupBuilder AnswersStorageFaults(this RouteGroupBuilder group) =>
        group.AddEndpointFilter(async (invocation, next) =>
        {
            try
            {
                return await next(invocation);
            }
            catch (Exception e) when (StorageFault.Is(e))
            {
                return new RefusalResult(Refusal.StorageUnavailable);
            }
        });
}
