using System.Text.Json;

namespace SimpleChat.Lab;

/// <summary>What the page asks for: one frame of the control line. <paramref name="Do"/> says which of the others count.</summary>
internal sealed record Command(
    string Do, string? Who = null, string? What = null, int? Ms = null, string? Frame = null, string? Kind = null, string? Point = null,
    bool? On = null, int? Rtt = null, string? Method = null, string? Path = null, JsonElement? Body = null);

/// <summary>The first frame to a page.</summary>
/// <param name="Kind">hello.</param>
/// <param name="Server">Which server it is.</param>
/// <param name="Protocol">The subprotocol to ask for; empty if the server selects none.</param>
/// <param name="Entries">How many entries the run has. They follow.</param>
/// <param name="Cables">Each person's port.</param>
/// <param name="Points">Where the server can be killed.</param>
/// <param name="Lessons">Where the list of the lessons is.</param>
/// <param name="Switches">Which switches can be had here.</param>
/// <param name="Why">Why others cannot.</param>
internal sealed record Hello(
    string Kind, string Server, string Protocol, int Entries, Dictionary<string, int> Cables, HelloPoint[] Points, string Lessons,
    Dictionary<string, bool> Switches, string? Why);

/// <summary>A point, as the page shows it.</summary>
internal sealed record HelloPoint(string Name, string Sentence);

/// <summary>A command that cannot be carried out.</summary>
/// <param name="Kind">refused.</param>
/// <param name="Do">The command.</param>
/// <param name="Why">In one sentence.</param>
internal sealed record Refused(string Kind, string? Do, string Why);
