-- SimpleChat's schema for PostgreSQL, version 2. It is embedded in the node and applied at the first start on a database.
-- Tables and columns are named as in chat.db.sql. Look into it with:  SELECT * FROM Messages;  SELECT * FROM InboxDB;

CREATE TABLE MessageDB_Schema (Version int NOT NULL);
INSERT INTO MessageDB_Schema VALUES (2);

-- Every message that was ever accepted: written once, never changed.
CREATE TABLE MessageDB (
  Id              bigint PRIMARY KEY,                    -- contiguous; rises in commit order (chat_append)
  Sender          text COLLATE "C" NOT NULL,             -- "C": as the server compares names, whatever the operating system's locale says
  Recipient       text COLLATE "C" NOT NULL,
  Text            bytea NOT NULL,                        -- UTF-8; text cannot hold U+0000, which a message can
  SentAt          bigint NOT NULL,                       -- milliseconds since 1970-01-01 UTC; never falls as Id rises
  ClientMessageId bytea                                  -- the sender's own name for the message, if it gave one
);

-- A repeat is not a second message.
CREATE UNIQUE INDEX MessageDB_ByClientMessageId ON MessageDB (Sender, ClientMessageId) WHERE ClientMessageId IS NOT NULL;
-- What a user sent and what a user received, by id: history without "with", resuming and catching up. No key comes twice, so that to look
-- for duplicates would be in vain.
CREATE INDEX MessageDB_BySender ON MessageDB (Sender, Id) WITH (deduplicate_items = off);
CREATE INDEX MessageDB_ByRecipient ON MessageDB (Recipient, Id) WITH (deduplicate_items = off);
-- One direction of a conversation, by id: history with "with", and whom a user has written to.
CREATE INDEX MessageDB_ByConversation ON MessageDB (Sender, Recipient, Id) WITH (deduplicate_items = off);

-- For people: texts that can be read.
CREATE VIEW Messages AS
  SELECT Id, Sender, Recipient, convert_from(replace(encode(Text, 'escape'), '\000', '')::bytea, 'UTF8') AS Text,
    to_timestamp(SentAt / 1000.0) AS SentAt FROM MessageDB;

-- What was not delivered yet: one row per message, inserted with it, deleted on delivery. Rows live shortly, so they are cleaned up eagerly.
CREATE TABLE InboxDB (
  Recipient text COLLATE "C" NOT NULL,
  MessageId bigint NOT NULL,
  Sender    text COLLATE "C" NOT NULL,                   -- whom to tell "delivered", without reading MessageDB
  PRIMARY KEY (Recipient, MessageId)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- One row: the highest message that was erased while it was the newest. Its id is never given out again, and no later time is before its time.
CREATE TABLE MessageDB_Erased (Id bigint NOT NULL, SentAt bigint NOT NULL);
INSERT INTO MessageDB_Erased VALUES (0, 0);

-- Whose messages are POSTed where.
CREATE TABLE WebhookDB (
  "User"      text COLLATE "C" PRIMARY KEY,
  Url         text NOT NULL,
  Secret      text NOT NULL,
  SkippedUpTo bigint NOT NULL DEFAULT 0                  -- what is in the inbox up to this id was not taken
);

-- A message that is erased, by age or by hand, takes along what stands beside it.
CREATE FUNCTION chat_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM InboxDB i USING erased e WHERE i.Recipient = e.Recipient AND i.MessageId = e.Id;
  UPDATE MessageDB_Erased SET Id = e.Id, SentAt = e.SentAt
    FROM (SELECT Id, SentAt FROM erased ORDER BY Id DESC LIMIT 1) e
    WHERE e.Id > MessageDB_Erased.Id AND e.Id > coalesce((SELECT max(Id) FROM MessageDB), 0);
  RETURN NULL;
END $$;
CREATE TRIGGER MessageDB_Erased AFTER DELETE ON MessageDB REFERENCING OLD TABLE AS erased FOR EACH STATEMENT EXECUTE FUNCTION chat_erased();

-- One batch of one node, committed. It is a procedure that commits by itself, called with everything it needs: whatever becomes of the node
-- meanwhile, nobody waits for it. The pen is an advisory lock. It is free again when the commit is durable and visible. So ids are contiguous,
-- and rise in commit order. The lock and what is read under it are separate statements: each sees what the last holder committed.
CREATE PROCEDURE chat_append(
  inboxes text[], firsts bigint[], lasts bigint[],       -- delivered: these ranges of these users' inboxes
  erasing bigint[],                                      -- messages to be erased
  senders text[], recipients text[], texts bytea[], received bigint[], names bytea[],  -- messages; their times do not fall
  INOUT base bigint, INOUT fresh int[], INOUT times bigint[],                          -- stored: the n-th of fresh has the id base + n
  INOUT gone_of int[], INOUT gone bigint[], INOUT gone_from text[],                    -- left the inbox: of which range, which id, from whom
  INOUT gone_in bigint,                                                                -- and in which transaction
  INOUT waited bigint)                                                                 -- microseconds until it had the pen
LANGUAGE plpgsql AS $$
DECLARE
  last_at bigint;
  now_at bigint;
  known bigint[];                                        -- which of the messages were there before
BEGIN
  IF cardinality(inboxes) > 0 THEN
    WITH deleted AS (
      DELETE FROM InboxDB i USING unnest(inboxes, firsts, lasts) WITH ORDINALITY AS u(r, f, l, o)
      WHERE i.Recipient = u.r AND i.MessageId BETWEEN u.f AND u.l RETURNING u.o, i.MessageId, i.Sender)
    SELECT array_agg(o::int), array_agg(MessageId), array_agg(Sender) INTO gone_of, gone, gone_from FROM deleted;
    gone_in := pg_current_xact_id()::text::bigint;
  END IF;
  IF cardinality(erasing) > 0 THEN
    DELETE FROM MessageDB WHERE Id = ANY (erasing);
  END IF;
  IF cardinality(senders) > 0 THEN
    waited := extract(epoch FROM clock_timestamp()) * 1000000;
    PERFORM pg_advisory_xact_lock(5080);
    SELECT greatest(m.Id, e.Id), greatest(m.SentAt, e.SentAt) INTO base, last_at
      FROM MessageDB_Erased e LEFT JOIN (SELECT Id, SentAt FROM MessageDB ORDER BY Id DESC LIMIT 1) m ON true;
    waited := extract(epoch FROM clock_timestamp()) * 1000000 - waited;
    now_at := floor(extract(epoch FROM clock_timestamp()) * 1000);
    SELECT coalesce(array_agg(o ORDER BY o), '{}') INTO known FROM unnest(senders, names) WITH ORDINALITY AS x(s, c, o)
      WHERE EXISTS (SELECT FROM MessageDB m WHERE m.Sender = x.s AND m.ClientMessageId = x.c);
    INSERT INTO MessageDB
      SELECT base + o - width_bucket(o, known), s, r, t, greatest(last_at, least(a, now_at)), c -- ids leave out what is known
      FROM unnest(senders, recipients, texts, received, names) WITH ORDINALITY AS x(s, r, t, a, c, o) WHERE o <> ALL (known);
    INSERT INTO InboxDB
      SELECT r, base + o - width_bucket(o, known), s
      FROM unnest(senders, recipients) WITH ORDINALITY AS x(s, r, o) WHERE o <> ALL (known);
    SELECT array_agg(o::int ORDER BY o), array_agg(greatest(last_at, least(a, now_at)) ORDER BY o) INTO fresh, times
      FROM unnest(received) WITH ORDINALITY AS x(a, o) WHERE o <> ALL (known);
  END IF;
  IF cardinality(inboxes) + cardinality(erasing) + cardinality(senders) = 0 THEN -- to find out whether a message could be stored
    PERFORM pg_advisory_xact_lock(5080);
    PERFORM pg_logical_emit_message(true, 'simplechat', ''); -- leaves nothing, but its commit is as durable as any
  END IF;
  COMMIT;
END $$;
