// Step 5, the inbox: what bob has not got waits in InboxDB, and is drained when he comes.
// Still lost: a message between the drain and the first live one.
#:sdk Microsoft.NET.Sdk.Web
#:package Dapper
#:package Microsoft.Data.Sqlite
#:property PublishAot=false
using System.Collections.Concurrent;
using System.Net.WebSockets;
using System.Text.Json;
using System.Threading.Channels;
using Dapper;
using Microsoft.Data.Sqlite;

const string Columns = "Id, Sender AS [From], Recipient AS [To], Text, SentAt";
var json = JsonSerializerOptions.Web;
var map = new ConcurrentDictionary<string, Connection[]>(); // who is online, over which connections
using var db = new SqliteConnection("Data Source=ladder.db");
db.Open();
db.Execute("""
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; -- a commit returns when the disk has it
    CREATE TABLE IF NOT EXISTS MessageDB (Id INTEGER PRIMARY KEY AUTOINCREMENT, Sender TEXT, Recipient TEXT NOT NULL,
        Text TEXT NOT NULL, SentAt TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')));
    CREATE TABLE IF NOT EXISTS InboxDB (Recipient TEXT, MessageId INTEGER, Sender TEXT, PRIMARY KEY (Recipient, MessageId));
    CREATE TRIGGER IF NOT EXISTS Inbox AFTER INSERT ON MessageDB BEGIN INSERT INTO InboxDB VALUES (new.Recipient, new.Id, new.Sender); END;
    """);
var app = WebApplication.Create();
app.UseWebSockets();

app.MapGet("/chat", async (HttpContext context, string user) =>
{
    using var socket = await context.WebSockets.AcceptWebSocketAsync();
    var connection = new Connection(user, socket, Channel.CreateBounded<object>(16));
    connection.Queue.Writer.TryWrite(new { type = "connected", user, maxMessageBytes = 65536 });
    var writing = WriteAllAsync(connection);
    await Task.WhenAny(writing, DrainAsync(connection));
    map.AddOrUpdate(user, [connection], (_, others) => [.. others, connection]);
    var first = await Task.WhenAny(writing, ReadAllAsync(connection)); // whichever ends first ends the connection
    map.AddOrUpdate(user, [], (_, others) => [.. others.Where(other => other != connection)]);
    connection.Queue.Writer.Complete();
    await Task.WhenAll(first, writing);
});

async Task DrainAsync(Connection connection)
{
    foreach (var message in await DbAsync(() => db.Query<Message>($"""
        SELECT {Columns} FROM MessageDB WHERE Id IN (SELECT MessageId FROM InboxDB WHERE Recipient = @User) ORDER BY Id
        """, new { connection.User })))
        await connection.Queue.Writer.WriteAsync(message);
}

async Task ReadAllAsync(Connection connection)
{
    var stream = WebSocketStream.Create(connection.Socket, WebSocketMessageType.Text); // JSON objects, until the client closes
    await foreach (var frame in JsonSerializer.DeserializeAsyncEnumerable<Frame>(stream, true, json, app.Lifetime.ApplicationStopping))
        await SendAsync(connection, frame!);
}

// Alice's message has come in. It is written, with its inbox row. She is told, and it is pushed.
async Task SendAsync(Connection alice, Frame frame)
{
    var message = await DbAsync(() => db.QuerySingle<Message>($"""
        INSERT INTO MessageDB (Sender, Recipient, Text) VALUES (@User, @To, @Text) RETURNING {Columns}
        """, new { alice.User, frame.To, frame.Text }));
    await alice.Queue.Writer.WriteAsync(new { type = "sent", message.Id, message.To, message.SentAt });
    await PushAsync(message.To, message);
}

// The map is asked who this is. While a queue is full, this waits.
async Task PushAsync(string user, object frame)
{
    foreach (var device in map.GetValueOrDefault(user, []))
        while (await device.Queue.Writer.WaitToWriteAsync() && !device.Queue.Writer.TryWrite(frame)) { }
}

// The only one that writes to this socket.
async Task WriteAllAsync(Connection connection)
{
    await foreach (var frame in connection.Queue.Reader.ReadAllAsync())
    {
        await connection.Socket.SendAsync(JsonSerializer.SerializeToUtf8Bytes(frame, json), WebSocketMessageType.Text, true, default);
        if (frame is Message message)
            await DeliveredAsync(connection.User, [message.Id]);
    }
    await connection.Socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, default);
}

// Bob has them. Their inbox rows go.
async Task DeliveredAsync(string user, long[] ids)
{
    await DbAsync(() => db.Execute("DELETE FROM InboxDB WHERE Recipient = @user AND MessageId IN @ids", new { user, ids }));
}

app.MapGet("/messages", async (string user) => new { messages = await DbAsync(() => db.Query<Message>($"""
    SELECT {Columns} FROM MessageDB WHERE @user IN (Sender, Recipient) ORDER BY Id DESC LIMIT 50
    """, new { user }).Reverse().Select(m => new { m.Id, m.From, m.To, m.Text, m.SentAt })) });

Task<T> DbAsync<T>(Func<T> use)
{
    lock (db)
        return Task.FromResult(use());
}

app.Run(args.FirstOrDefault() ?? "http://localhost:5080");

internal sealed record Frame(string To, string Text);
internal sealed record Message(long Id, string From, string To, string Text, string SentAt) { public string Type { get; } = "message"; }
internal sealed record Connection(string User, WebSocket Socket, Channel<object> Queue);
