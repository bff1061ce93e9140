-- SimpleChat's schema, version 1 (PRAGMA user_version). It is embedded in the server and applied to an empty file at start.
-- Look into it with:  sqlite3 chat.db 'SELECT * FROM MessageDB'  and  sqlite3 chat.db 'SELECT * FROM InboxDB'

-- Every message that was ever accepted: written once, never changed.
CREATE TABLE MessageDB (
  Id              INTEGER PRIMARY KEY AUTOINCREMENT,  -- rises in commit order; AUTOINCREMENT: an id is never given out twice, even if rows are pruned
  Sender          TEXT    NOT NULL,
  Recipient       TEXT    NOT NULL,
  Text            TEXT    NOT NULL,
  SentAt          INTEGER NOT NULL,                   -- milliseconds since 1970-01-01 UTC; never falls as Id rises
  ClientMessageId TEXT                                -- the sender's own name for the message, if it gave one
) STRICT;

-- What was not delivered yet: one row per message, inserted in the message's own transaction, deleted on delivery.
-- Its primary key is the order in which an inbox is read: WHERE Recipient = ? AND MessageId > ? ORDER BY MessageId.
CREATE TABLE InboxDB (
  Recipient TEXT    NOT NULL,
  MessageId INTEGER NOT NULL,
  Sender    TEXT    NOT NULL,                         -- whom to tell "delivered", without reading MessageDB
  PRIMARY KEY (Recipient, MessageId)
) STRICT, WITHOUT ROWID;

-- A repeat is not a second message: finds the first one by (sender, clientMessageId), and refuses a second row for ever.
CREATE UNIQUE INDEX MessageDB_Repeat ON MessageDB (Sender, ClientMessageId) WHERE ClientMessageId IS NOT NULL;

-- History and catching up, both halves of it: what a user sent and what a user received, by id. The other side is
-- in the index too, so that one conversation (?with=) is picked out of all without touching the table.
CREATE INDEX MessageDB_Sent     ON MessageDB (Sender, Id, Recipient);
CREATE INDEX MessageDB_Received ON MessageDB (Recipient, Id, Sender);

-- Whose messages are POSTed where (the wing in SimpleChat/Webhooks). Few rows, all read at start.
CREATE TABLE WebhookDB (
  User   TEXT NOT NULL PRIMARY KEY,
  Url    TEXT NOT NULL,
  Secret TEXT NOT NULL                                -- whsec_ and base64, as it came: signing needs it
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 1;
