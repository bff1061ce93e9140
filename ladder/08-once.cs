// Step 8, once: clientMessageId makes a send safe to repeat. The first message and the repeat are one row.
// Still lost: the time of whoever writes to a reader that does not read.
#:sdk Microsoft.NET.Sdk.Web
#:package Dapper
#:package Microsoft.Data.Sqlite
#:property PublishAot=false
using System.Collections.Concurrent;
using System.Net.WebSockets;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Threading.Channels;
using Dapper;
using Microsoft.Data.Sqlite;

const string Columns = "Id, Sender AS [From], Recipient AS [To], Text, SentAt";
var json = new JsonSerializerOptions(JsonSerializerDefaults.Web) { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };
var map = new ConcurrentDictionary<string, Connection[]>(); // who is online, over which connections
using var db = new SqliteConnection("Data Source=ladder-8.db");
db.Open();
db.Execute("""
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; -- a commit returns when the disk has it
    CREATE TABLE IF NOT EXISTS MessageDB (Id INTEGER PRIMARY KEY AUTOINCREMENT, Sender TEXT, Recipient TEXT NOT NULL,
        Text TEXT NOT NULL, SentAt TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')), ClientMessageId TEXT, UNIQUE (Sender, ClientMessageId));
    CREATE TABLE IF NOT EXISTS InboxDB (Recipient TEXT, MessageId INTEGER, Sender TEXT, PRIMARY KEY (Recipient, MessageId));
    CREATE TRIGGER IF NOT EXISTS Inbox AFTER INSERT ON MessageDB BEGIN INSERT INTO InboxDB VALUES (new.Recipient, new.Id, new.Sender); END;
    """);
var app = WebApplication.Create();
app.UseWebSockets();

app.MapGet("/chat", async (HttpContext context, string user) =>
{
    var protocol = context.WebSockets.WebSocketRequestedProtocols.FirstOrDefault(name => name is "chat" or "chat.ack");
    using var socket = await context.WebSockets.AcceptWebSocketAsync(protocol);
    var connection = new Connection(user, socket, Channel.CreateBounded<object>(16));
    connection.Queue.Writer.TryWrite(new { type = "connected", user, maxMessageBytes = 65536 });
    map.AddOrUpdate(user, [connection], (_, others) => [.. others, connection]);
    var writing = WriteAllAsync(connection);
    var first = await Task.WhenAny(writing, ReadAllAsync(connection)); // whichever ends first ends the connection
    map.AddOrUpdate(user, [], (_, others) => [.. others.Where(other => other != connection)]);
    connection.Queue.Writer.Complete();
    await Task.WhenAll(first, writing);
});

async Task ReadAllAsync(Connection connection)
{
    var stream = WebSocketStream.Create(connection.Socket, WebSocketMessageType.Text); // JSON objects, until the client closes
    await foreach (var frame in JsonSerializer.DeserializeAsyncEnumerable<Frame>(stream, true, json, app.Lifetime.ApplicationStopping))
        await (frame is { Type: "ack", Ids: not null } ? DeliveredAsync(connection.User, frame.Ids) : SendAsync(connection, frame!));
}

// Alice's message has come in. It is written, with its inbox row. She is told, and it is pushed.
async Task SendAsync(Connection alice, Frame frame)
{
    var message = await DbAsync(() => db.QuerySingle<Message>($"""
        INSERT INTO MessageDB (Sender, Recipient, Text, ClientMessageId) VALUES (@User, @To, @Text, @ClientMessageId)
        ON CONFLICT DO UPDATE SET Text = Text RETURNING {Columns}
        """, new { alice.User, frame.To, frame.Text, frame.ClientMessageId }));
    await alice.Queue.Writer.WriteAsync(new { type = "sent", message.Id, frame.ClientMessageId, message.To, message.SentAt });
    await PushAsync(message.To, message);
}

// The map is asked who this is. While a queue is full, this waits.
async Task PushAsync(string user, object frame)
{
    foreach (var device in map.GetValueOrDefault(user, []))
        while (await device.Queue.Writer.WaitToWriteAsync() && !device.Queue.Writer.TryWrite(frame)) { }
}

// The only one that writes to this socket. A message in the queue says that there is one; the database says which, and in what order.
async Task WriteAllAsync(Connection connection)
{
    var (position, joined) = (0L, await DbAsync(() => db.ExecuteScalar<long>("SELECT max(Id) FROM MessageDB")));
    await foreach (var frame in connection.Queue.Reader.ReadAllAsync())
    {
        var page = await DbAsync(() => db.Query<Message>($"""
            SELECT {Columns} FROM MessageDB WHERE Recipient = @User AND Id > @position
            AND (Id > @joined OR Id IN (SELECT MessageId FROM InboxDB WHERE Recipient = @User)) ORDER BY Id
            """, new { connection.User, position, joined }).AsList());
        foreach (var next in frame is Message ? page : page.Prepend(frame))
            await connection.Socket.SendAsync(JsonSerializer.SerializeToUtf8Bytes(next, json), WebSocketMessageType.Text, true, default);
        position = page.LastOrDefault()?.Id ?? position;
        if (page.Count > 0 && connection.Socket.SubProtocol != "chat.ack")
            await DeliveredAsync(connection.User, [.. page.Select(message => message.Id)]);
    }
    await connection.Socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, default);
}

// Bob has them. Their inbox rows go, and who sent them is told.
async Task DeliveredAsync(string user, long[] ids)
{
    foreach (var (id, sender) in await DbAsync(() => db.Query<(long, string)>(
        "DELETE FROM InboxDB WHERE Recipient = @user AND MessageId IN @ids RETURNING MessageId, Sender", new { user, ids })))
        await PushAsync(sender, new { type = "delivered", id, to = user });
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

internal sealed record Frame(string? Type, string To, string Text, string? ClientMessageId, long[]? Ids);
internal sealed record Message(long Id, string From, string To, string Text, string SentAt) { public string Type { get; } = "message"; }
internal sealed record Connection(string User, WebSocket Socket, Channel<object> Queue);
