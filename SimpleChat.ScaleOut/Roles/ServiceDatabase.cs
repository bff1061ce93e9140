using SimpleChat.Settings;
using SimpleChat.Storage;

namespace SimpleChat.ScaleOut.Roles;

/// <summary>The database of a node that has none: services store for it.</summary>
internal sealed class ServiceDatabase : IDatabase
{
    /// <summary>How often the services are tried at the start. A machine on which everything starts at once may be slow.</summary>
    private const int StartAttempts = 3;

    private readonly ServiceClient _client;
    private readonly CommitChain _chain;
    private readonly Deliveries _deliveries;

    /// <exception cref="StartException">The node has a password that it does not need.</exception>
    public ServiceDatabase(IConfiguration configuration, ServiceClient client, CommitChain chain, Deliveries deliveries)
    {
        if (!string.IsNullOrEmpty(configuration.GetConnectionString("Postgres")))
            throw new StartException(
                "ConnectionStrings:Postgres is set, and ScaleOut:Role is 'connections': such a node keeps no password of the database. " +
                "Take it out, or choose the role 'all'.");
        (_client, _chain, _deliveries) = (client, chain, deliveries);
    }

    public ITransaction Open()
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                var lastId = _client.HelloAsync().GetAwaiter().GetResult();
                _chain.StartAt(lastId);
                return new ServiceTransaction(_client, _chain, _deliveries, lastId);
            }
            catch (ServiceFault) when (attempt < StartAttempts)
            {
                // Once more.
            }
            catch (ServiceFault e)
            {
                throw new StartException($"No service can be used. {e.Message}", e);
            }
        }
    }

    public ITransaction Reopen() =>
        new ServiceTransaction(_client, _chain, _deliveries, _client.HelloAsync().GetAwaiter().GetResult());

    /// <summary>Nothing can be wrong that the next batch would not find.</summary>
    public void RequireSound()
    {
    }
}
