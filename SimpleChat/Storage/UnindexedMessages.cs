namespace SimpleChat.Storage;

/// <summary>The messages above the mark of <see cref="MessageIndex"/>, which a crash or a fault has left.</summary>
internal static class UnindexedMessages
{
    /// <summary>Indexes all of them at once. Called at the start, and after a fault.</summary>
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
