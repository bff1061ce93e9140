using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace SimpleChat.Lab;

/// <summary>
/// One thing that happened in a run, and one line of its file. Everything that the page shows follows from these alone, so a run can be
/// replayed without a server.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(RunEntry), "run")]
[JsonDerivedType(typeof(ServerEntry), "server")]
[JsonDerivedType(typeof(LineEntry), "line")]
[JsonDerivedType(typeof(FrameEntry), "frame")]
[JsonDerivedType(typeof(FrameOnEntry), "frame-on")]
[JsonDerivedType(typeof(RowsEntry), "rows")]
[JsonDerivedType(typeof(FaultEntry), "fault")]
[JsonDerivedType(typeof(ScreenEntry), "screen")]
[JsonDerivedType(typeof(ClientEntry), "client")]
[JsonDerivedType(typeof(PredictEntry), "predict")]
[JsonDerivedType(typeof(LessonEntry), "lesson")]
[JsonDerivedType(typeof(RequestEntry), "request")]
[JsonDerivedType(typeof(LaneEntry), "lane")]
[JsonDerivedType(typeof(VerdictEntry), "verdict")]
internal abstract record Entry
{
    /// <summary>The logical clock: from 1, without gaps.</summary>
    [JsonPropertyOrder(-2)]
    public int N { get; init; }

    /// <summary>Milliseconds since the run began.</summary>
    [JsonPropertyOrder(-1)]
    public double T { get; init; }
}

/// <summary>The first entry.</summary>
/// <param name="Format">The version of this format.</param>
/// <param name="Server">Which server: SimpleChat, or a step of the ladder.</param>
/// <param name="At">When the run began, in UTC.</param>
internal sealed record RunEntry(int Format, string Server, DateTimeOffset At) : Entry;

/// <summary>What became of the server's process.</summary>
/// <param name="State">starting, up, killed, stopped, paused or resumed.</param>
/// <param name="Pid">Its process id.</param>
/// <param name="At">The name of a point, where it was killed or paused.</param>
/// <param name="Exit">Its exit code.</param>
internal sealed record ServerEntry(string State, int? Pid = null, string? At = null, int? Exit = null) : Entry;

/// <summary>What became of a WebSocket.</summary>
/// <param name="Who">Whose cable it is on.</param>
/// <param name="Line">Its number in this run.</param>
/// <param name="State">opening, open, refused, closed or cut.</param>
/// <param name="Up">The request's head.</param>
/// <param name="Down">The answer's head.</param>
/// <param name="Code">The close code.</param>
/// <param name="Reason">The close frame's text.</param>
/// <param name="By">Who ended it: client, server or cable.</param>
internal sealed record LineEntry(
    string Who, int Line, string State, string? Up = null, string? Down = null, int? Code = null, string? Reason = null, string? By = null)
    : Entry;

/// <summary>A WebSocket frame that reached the cable.</summary>
/// <param name="Who">Whose cable.</param>
/// <param name="Line">The WebSocket's number.</param>
/// <param name="Way">up, to the server, or down.</param>
/// <param name="Opcode">RFC 6455, section 5.2.</param>
/// <param name="Fin">Whether it is the last frame of its message.</param>
/// <param name="Bytes">The first 512 bytes of it on the wire, in Base64.</param>
/// <param name="Length">How many bytes it is on the wire, its header included.</param>
/// <param name="What">The message's type, or what the frame is.</param>
/// <param name="Fate">passed, held, lost or injected.</param>
/// <param name="Text">The first 4,096 characters of its message.</param>
/// <param name="Id">The message's id.</param>
/// <param name="Ids">The ids of an ack.</param>
/// <param name="ClientMessageId">The sender's own name for the message.</param>
internal sealed record FrameEntry(
    string Who, int Line, string Way, int Opcode, bool Fin, byte[] Bytes, long Length, string What, string Fate,
    string? Text = null, long? Id = null, long[]? Ids = null, string? ClientMessageId = null) : Entry;

/// <summary>A frame that was held goes on.</summary>
/// <param name="Of">The entry of the frame.</param>
internal sealed record FrameOnEntry(int Of) : Entry;

/// <summary>Rows that came or went since the last look.</summary>
/// <param name="Table">MessageDB or InboxDB.</param>
/// <param name="Added">New rows.</param>
/// <param name="Gone">Rows that are there no more.</param>
internal sealed record RowsEntry(string Table, Row[] Added, Row[] Gone) : Entry;

/// <summary>A row of MessageDB; one of InboxDB has no text, time and clientMessageId.</summary>
internal sealed record Row(long Id, string? From, string? To, string? Text = null, string? SentAt = null, string? ClientMessageId = null);

/// <summary>A switch that was thrown: the command, as it came.</summary>
/// <param name="Do">fault, server, slow, pause, resume or ways; <c>record-full</c> is the last entry of a run that is too long.</param>
/// <param name="What">Which switch.</param>
/// <param name="Who">On whose cable; null if it is nobody's.</param>
/// <param name="Ms">For how long, in milliseconds.</param>
/// <param name="Frame">What kind of frame is lost.</param>
/// <param name="Garbage">What kind of garbage is injected.</param>
/// <param name="Point">Where the server is to die.</param>
/// <param name="On">On or off.</param>
/// <param name="Rtt">How long a round trip takes on the five lanes, in milliseconds.</param>
internal sealed record FaultEntry(
    string Do, string? What = null, string? Who = null, int? Ms = null, string? Frame = null, string? Garbage = null, string? Point = null,
    bool? On = null, int? Rtt = null) : Entry;

/// <summary>Something that the page tells; its properties are kept as they come.</summary>
internal abstract record ToldEntry : Entry
{
    /// <summary>Whom it is about.</summary>
    public string? Who { get; init; }

    /// <summary>What happened; on a screen shown, repeat, unsent, sent, delivered or failed.</summary>
    public string? What { get; init; }

    /// <summary>A message's id.</summary>
    public long? Id { get; init; }

    /// <summary>Which of a person's pages it is; the first one if left out.</summary>
    public int? Tab { get; init; }

    /// <summary>What somebody predicts: nothing, once or twice.</summary>
    public string? Says { get; init; }

    /// <summary>Everything else.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Rest { get; set; }
}

/// <summary>What a person saw.</summary>
internal sealed record ScreenEntry : ToldEntry;

/// <summary>What a client keeps: its outbox, its position, what it has not acknowledged.</summary>
internal sealed record ClientEntry : ToldEntry;

/// <summary>What somebody predicts.</summary>
internal sealed record PredictEntry : ToldEntry;

/// <summary>A lesson comes to one of its steps.</summary>
internal sealed record LessonEntry : ToldEntry;

/// <summary>A request over HTTP and its answer, when both are through.</summary>
/// <param name="Who">Whose cable.</param>
/// <param name="Line">The connection's number.</param>
/// <param name="Method">GET, POST and so on.</param>
/// <param name="Path">The request's target.</param>
/// <param name="Head">The request's head.</param>
/// <param name="Status">The answer's status; null if there was none.</param>
/// <param name="Up">Bytes to the server, the head included.</param>
/// <param name="Down">Bytes from the server, the head included.</param>
/// <param name="Answer">The first 16,384 characters of the answer's body.</param>
internal sealed record RequestEntry(
    string Who, int Line, string Method, string Path, string Head, int? Status, long Up, long Down, string? Answer) : Entry;

/// <summary>What happens on one of the five lanes.</summary>
/// <param name="Lane">short, long, sse, webhook or websocket; null for what is not on one.</param>
/// <param name="What">request, answer, ping, stored or arrived.</param>
/// <param name="Up">Bytes to the server since the last entry of this lane.</param>
/// <param name="Down">Bytes from the server since then.</param>
/// <param name="Id">The message's id.</param>
internal sealed record LaneEntry(string? Lane, string What, long Up, long Down, long? Id = null) : Entry;

/// <summary>What happened, in words: which promise held, or did not.</summary>
/// <param name="Promise">I1 to I9.</param>
/// <param name="Held">Whether it held.</param>
/// <param name="Sentence">What happened.</param>
/// <param name="Because">The entries that show it.</param>
/// <param name="File">The file that is responsible.</param>
/// <param name="Test">The test that shows it.</param>
/// <param name="Saw">What was on bob's screen: nothing, once or twice.</param>
/// <param name="Predicted">What was predicted.</param>
internal sealed record VerdictEntry(
    string Promise, bool Held, string Sentence, int[] Because, string File, string Test, string? Saw = null, string? Predicted = null)
    : Entry;

/// <summary>JSON of everything that goes to the page and comes from it.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Entry))]
[JsonSerializable(typeof(Hello))]
[JsonSerializable(typeof(Refused))]
[JsonSerializable(typeof(Command))]
[JsonSerializable(typeof(int))]
[JsonSerializable(typeof(ScreenEntry))]
[JsonSerializable(typeof(ClientEntry))]
[JsonSerializable(typeof(PredictEntry))]
[JsonSerializable(typeof(LessonEntry))]
internal sealed partial class LabJson : JsonSerializerContext
{
    /// <summary>Without escapes that only a web page's source would need: the messages in a record are JSON themselves.</summary>
    public static LabJson Readable { get; } = new(new JsonSerializerOptions(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
