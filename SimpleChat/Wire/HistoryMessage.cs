namespace SimpleChat.Wire;

/// <summary>A message as history shows it: also whether it has left the inbox.</summary>
internal readonly record struct HistoryMessage(Message Message, bool Delivered);

/// <summary>A conversation of a user's.</summary>
/// <param name="With">The other side. It is the user itself for messages to oneself.</param>
internal readonly record struct Conversation(string With, HistoryMessage Last);
