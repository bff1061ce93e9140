using System.Diagnostics;
using SimpleChat.Monitoring;

namespace SimpleChat.ScaleOut;

/// <summary>
/// A message's trace on its way to another node, where it goes on: the two numbers of a <c>traceparent</c>
/// (https://www.w3.org/TR/trace-context/#traceparent-header). It goes along with the text, to nodes that have somebody to push it to.
/// </summary>
internal static class TraceContext
{
    private const int TraceLength = 16, SpanLength = 8;

    /// <summary>Writes it; one byte if there is none.</summary>
    public static void Write(this BinaryWriter writer, ActivityContext trace)
    {
        writer.Write(trace != default);
        if (trace == default)
            return;
        Span<byte> bytes = stackalloc byte[TraceLength + SpanLength];
        trace.TraceId.CopyTo(bytes[..TraceLength]);
        trace.SpanId.CopyTo(bytes[TraceLength..]);
        writer.Write(bytes);
    }

    /// <summary>Reads it; the default if there is none. Whoever sent it records it, and so does this node.</summary>
    public static ActivityContext ReadTrace(this BinaryReader reader)
    {
        if (!reader.ReadBoolean())
            return default;
        var bytes = reader.ReadBytes(TraceLength + SpanLength).AsSpan();
        return new ActivityContext(ActivityTraceId.CreateFromBytes(bytes[..TraceLength]),
            ActivitySpanId.CreateFromBytes(bytes[TraceLength..]), ActivityTraceFlags.Recorded, isRemote: true);
    }

    /// <summary>
    /// Begins the span of a commit that another node has announced, and whose turn it is. Its delivery from here is part of the trace, too.
    /// </summary>
    /// <returns>The span, which ends when the message was pushed; null if there is none.</returns>
    public static Activity? Hear(this Traces traces, Commit commit)
    {
        if (commit.Trace == default || Traces.Source.StartActivity("heard and pushed", ActivityKind.Consumer, commit.Trace) is not { } span)
            return null;
        traces.Remember(commit.Id, commit.Trace);
        return span;
    }
}
