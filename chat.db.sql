-- SimpleChat's schema, version 2 (PRAGMA user_version). It is embedded in the server and applied at each start: what a file has already stays as it is.
-- A file of version 1 is upgraded before, and a copy of it kept: see SimpleChat/Storage/SchemaUpgrade.cs.
-- Never cp it while a server runs: what is in chat.db-wal would be missing. SimpleChat backup FILE makes a whole copy.
-- Look into it with:  sqlite3 chat.db 'SELECT * FROM MessageDB'  and  sqlite3 chat.db 'SELECT * FROM InboxDB'

-- Every message that was ever accepted: written once, never changed.
CREATE TABLE IF NOT EXISTS MessageDB (
  Id              INTEGER PRIMARY KEY AUTOINCREMENT,  -- rises in commit order; AUTOINCREMENT: an id is never given out twice, even if rows are pruned
  Sender          TEXT    NOT NULL,
  Recipient       TEXT    NOT NULL,
  Text            TEXT    NOT NULL,
  SentAt          INTEGER NOT NULL,                   -- milliseconds since 1970-01-01 UTC; never falls as Id rises
  ClientMessageId TEXT                                -- the sender's own name for the message, if it gave one
) STRICT;

-- What was not delivered yet: one row per message, inserted in the message's own transaction, deleted on delivery.
-- Its primary key is the order in which an inbox is read: WHERE Recipient = ? AND MessageId > ? ORDER BY MessageId.
CREATE TABLE IF NOT EXISTS InboxDB (
  Recipient TEXT    NOT NULL,
  MessageId INTEGER NOT NULL,
  Sender    TEXT    NOT NULL,                         -- whom to tell "delivered", without reading MessageDB
  PRIMARY KEY (Recipient, MessageId)
) STRICT, WITHOUT ROWID;

-- The indexes over MessageDB. They are tables of their own, because they are written later, in lots, neighbours together: an index kept up with each message
-- dirties a page per user in every commit, and costs more than the message. Each holds everything up to MessageDB_Indexed.UpTo, and
-- perhaps some of what is above it; whoever reads looks above it in MessageDB itself. See MessageIndex.cs.

-- A repeat is not a second message: finds the first one by sender and clientMessageId.
CREATE TABLE IF NOT EXISTS MessageDB_ByClientMessageId (
  Sender          TEXT    NOT NULL,
  ClientMessageId TEXT    NOT NULL,
  MessageId       INTEGER NOT NULL,
  PRIMARY KEY (Sender, ClientMessageId)
) STRICT, WITHOUT ROWID;

-- All that a user sent or received, by id: history without "with", resuming and catching up.
CREATE TABLE IF NOT EXISTS MessageDB_ByUser (
  User      TEXT    NOT NULL,
  MessageId INTEGER NOT NULL,
  PRIMARY KEY (User, MessageId)
) STRICT, WITHOUT ROWID;

-- One conversation, both sides of it (User1 <= User2), by id: history with "with".
CREATE TABLE IF NOT EXISTS MessageDB_ByConversation (
  User1     TEXT    NOT NULL,
  User2     TEXT    NOT NULL,
  MessageId INTEGER NOT NULL,
  PRIMARY KEY (User1, User2, MessageId)
) STRICT, WITHOUT ROWID;

-- One row: up to which message the three above are complete.
CREATE TABLE IF NOT EXISTS MessageDB_Indexed (UpTo INTEGER NOT NULL) STRICT;
INSERT INTO MessageDB_Indexed SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM MessageDB_Indexed);

-- A message that is erased, by age (Chat:RetainDays) or by hand, also while the server runs, takes along what stands beside it:
-- sqlite3 chat.db 'DELETE FROM MessageDB WHERE Id = 41'
CREATE TRIGGER IF NOT EXISTS MessageDB_Erased AFTER DELETE ON MessageDB BEGIN
  DELETE FROM InboxDB WHERE Recipient = old.Recipient AND MessageId = old.Id;
  DELETE FROM MessageDB_ByClientMessageId WHERE Sender = old.Sender AND ClientMessageId = old.ClientMessageId AND MessageId = old.Id;
  DELETE FROM MessageDB_ByUser WHERE User IN (old.Sender, old.Recipient) AND MessageId = old.Id;
  DELETE FROM MessageDB_ByConversation
    WHERE User1 = min(old.Sender, old.Recipient) AND User2 = max(old.Sender, old.Recipient) AND MessageId = old.Id;
END;

-- Whose messages are POSTed where (the wing in SimpleChat/Webhooks). Few rows, all read at start.
CREATE TABLE IF NOT EXISTS WebhookDB (
  User        TEXT    NOT NULL PRIMARY KEY,
  Url         TEXT    NOT NULL,
  Secret      TEXT    NOT NULL,                       -- whsec_ and base64, as it came: signing needs it
  SkippedUpTo INTEGER NOT NULL DEFAULT 0              -- what is in the inbox up to this id was not taken
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 2;
