using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace SimpleChat.Benchmarks;

/// <summary>
/// What most would build on .NET: SignalR with its Redis backplane, as its documentation has it
/// (https://learn.microsoft.com/aspnet/core/signalr/redis-backplane), and an INSERT into PostgreSQL before each message is passed on. It
/// has no inbox, no replay and no receipts.
/// </summary>
internal static class PeerServer
{
    public const string Verb = "peer-server";

    /// <summary>Its one table.</summary>
    public const string Schema =
        """
        CREATE TABLE Messages (
          Id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, Sender text NOT NULL, Recipient text NOT NULL, Text text NOT NULL,
          SentAt timestamptz NOT NULL DEFAULT now())
        """;

    /// <param name="args">Port, connection string of PostgreSQL, connection string of Redis.</param>
    public static void Run(string[] args)
    {
        var builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenLocalhost(int.Parse(args[0], CultureInfo.InvariantCulture)));
        builder.Services.AddSignalR().AddStackExchangeRedis(args[2]);
        builder.Services.AddSingleton<IUserIdProvider, UserInQuery>();
        builder.Services.AddSingleton(NpgsqlDataSource.Create(args[1]));
        var app = builder.Build();
        app.MapHub<ChatHub>("/chat");
        app.Run();
    }

    private sealed class UserInQuery : IUserIdProvider
    {
        public string? GetUserId(HubConnectionContext connection) => connection.GetHttpContext()?.Request.Query["user"];
    }

    private sealed class ChatHub(NpgsqlDataSource database) : Hub
    {
        public override Task OnConnectedAsync() => Clients.Caller.SendAsync("connected");

        public async Task<long> Send(string to, string text)
        {
            await using var insert = database.CreateCommand(
                "INSERT INTO Messages (Sender, Recipient, Text) VALUES ($1, $2, $3) RETURNING Id");
            insert.Parameters.Add(new NpgsqlParameter { Value = Context.UserIdentifier });
            insert.Parameters.Add(new NpgsqlParameter { Value = to });
            insert.Parameters.Add(new NpgsqlParameter { Value = text });
            var id = (long)(await insert.ExecuteScalarAsync())!;
            await Clients.User(to).SendAsync("message", id, Context.UserIdentifier, text);
            return id;
        }
    }
}
