namespace SimpleChat.Storage;

/// <summary>
/// The messages above <see cref="MessageIndex"/>'s mark. At the start, and after a fault, all of them are indexed at once.
/// </summary>
internal static class UnindexedMessages
{
    /// <param name="prepare">Makes a statement on the writer's connection, which keeps it.</param>
    public static void Index(Func<string, Statement> prepare)
    {
        string[] steps =
        [
            "BEGIN IMMEDIATE",
            """
            INSERT OR REPLACE INTO MessageDB_ByClientMessageId SELECT Sender, ClientMessageId, Id FROM MessageDB
            WHERE Id > (SELECT UpTo FROM MessageDB_Indexed) AND ClientMessageId IS NOT NULL ORDER BY Sender, ClientMessageId
            """,
            """
            INSERT OR IGNORE INTO MessageDB_ByUser
            SELECT Sender, Id FROM MessageDB WHERE Id > (SELECT UpTo FROM MessageDB_Indexed)
            UNION SELECT Recipient, Id FROM MessageDB WHERE Id > (SELECT UpTo FROM MessageDB_Indexed) ORDER BY 1, 2
            """,
            """
            INSERT OR IGNORE INTO MessageDB_ByConversation SELECT min(Sender, Recipient), max(Sender, Recipient), Id FROM MessageDB
            WHERE Id > (SELECT UpTo FROM MessageDB_Indexed) ORDER BY 1, 2, 3
            """,
            "UPDATE MessageDB_Indexed SET UpTo = coalesce((SELECT max(Id) FROM MessageDB), 0)",
            "COMMIT",
        ];
        if (!prepare("SELECT 1 FROM MessageDB, MessageDB_Indexed WHERE Id > UpTo LIMIT 1").Exists())
            return;
        foreach (var step in steps)
            prepare(step).Run();
    }
}
