/* The chain and the join, in every order of events:
 *   spin -a chain.pml && cc -O2 -DSAFETY -o pan pan.c && ./pan -m100000
 *
 * Two nodes commit N messages. To number a message and to commit it is one step, because one transaction of PostgreSQL does both under one
 * lock. Then the message is announced to node 0, unless its node dies first. The broker delivers announcements in any order, loses some, and
 * delivers some twice. Node 0 holds what comes early, drops what it knows, and looks at the database at any moment. A reader joins node 0 at
 * any moment: it goes into the map, and then takes its mark. Up to the mark it reads the database; above it, it takes what it is offered.
 * A message may be offered without its text. Then the reader drops its queue, and its mark moves up.
 *
 * Checked: the reader gets every message, each once, in order. Each of these breaks the model on purpose, and the check fails:
 *   -DNOHOLD      the chain offers what comes early
 *   -DNOLOOK      nobody looks at the database
 *   -DOFFERFIRST  the chain offers a message before it knows it
 *   -DMARKFIRST   the reader takes its mark before it is in the map
 *   -DNODROP      the reader takes from its queue what it has read from the database
 */
#define N 3

byte committed = 0;               /* the highest id in the database */
byte flying[N + 1];               /* announcements of this id on their way to node 0 */

bool gate = false;                /* CommitChain: one at a time */
byte known = 0;                   /* CommitChain: everything up to here was offered */
bool held[N + 1];                 /* CommitChain: came early */

bool inMap = false;               /* Connections: the reader is there */
byte mark = 0;                    /* Connection: up to here it reads the database */
byte position = 0;                /* Connection: everything up to here was passed on */
chan queue = [N] of { byte };     /* Connection: what it was offered */

byte got = 0;                     /* the last id that came out */

inline comeOut(one) {
  assert(one == got + 1);         /* no hole, no repeat, no overtaking */
  got = one;
  position = one
}

inline toReader(one) {
  atomic {                        /* the lock of the connection */
    if
    :: inMap && nfull(queue) -> queue ! one
    :: inMap -> mark = one; do :: queue ? _ :: empty(queue) -> break od
    :: !inMap
    fi
  }
}

inline offer(one) {
#ifdef OFFERFIRST
  toReader(one);
  known = one
#else
  known = one;
  toReader(one)
#endif
}

inline offerHeld() {
  do
  :: known < N && held[known + 1] -> next = known + 1; held[next] = false; offer(next)
  :: !(known < N && held[known + 1]) -> break
  od
}

proctype Node() {
  do
  :: atomic {
       committed < N -> committed++;
       if
       :: flying[committed] = 1
       :: flying[committed] = 2
       :: skip                    /* it was killed, or the broker was away */
       fi
     }
  :: committed == N -> break
  od
}

proctype Broker() {
  byte id = 0, next = 0;
  do
  :: atomic {
       if
       :: flying[1] > 0 -> id = 1
       :: flying[2] > 0 -> id = 2
       :: flying[3] > 0 -> id = 3
       fi;
       flying[id]--
     }
     if
     :: id = 0                    /* lost */
     :: atomic { !gate -> gate = true }
        if
#ifdef NOHOLD
        :: id > known -> offer(id)
#else
        :: id == known + 1 -> offer(id); offerHeld()
        :: id > known + 1 -> held[id] = true
#endif
        :: id <= known            /* dropped */
        fi;
        atomic { id = 0; next = 0; gate = false }
     fi
  :: got == N -> break
  od
}

proctype Look() {
  byte last = 0, next = 0;
#ifndef NOLOOK
  do
  :: known < committed ->
     last = committed;
     atomic { !gate -> gate = true }
     do
     :: known < last -> next = known + 1; held[next] = false; offer(next)
     :: known >= last -> break
     od;
     offerHeld();
     atomic { last = 0; next = 0; gate = false }
  :: got == N -> break
  od
#endif
}

proctype Reader() {
  byte id = 0;
#ifdef MARKFIRST
  mark = known;
  inMap = true;
#else
  inMap = true;
  atomic { if :: known > mark -> mark = known :: known <= mark fi }
#endif
  do
  :: atomic { position < mark -> comeOut(position + 1) }
#ifdef NODROP
  :: atomic { position >= mark && nempty(queue) -> queue ? id; comeOut(id); id = 0 }
#else
  :: atomic { position >= mark && nempty(queue) -> queue ? id; if :: id > position -> comeOut(id) :: id <= position fi; id = 0 }
#endif
  :: got == N -> break
  od
}

init { atomic { run Node(); run Node(); run Broker(); run Look(); run Reader() } }

/* A run that gets stuck before everything came out ends in a state that is no end: spin reports that too. */
