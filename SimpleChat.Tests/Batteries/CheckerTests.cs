namespace SimpleChat.Tests.Batteries;

/// <summary>The checker is only worth something if it finds what is there: one fault of each kind, put into a flawless story.</summary>
public sealed class CheckerTests
{
    [Fact]
    public void A_flawless_story_has_no_finding_and_an_unanswered_message_may_be_stored()
    {
        var verdict = new Story().Check();
        Assert.Empty(verdict.Findings);
        Assert.Equal((4, 5, 1), (verdict.Confirmed, verdict.CameOut, verdict.Recovered));
    }

    [Fact]
    public void A_message_lost_in_the_middle_is_not_one_lost_at_the_end()
    {
        AssertFinds(Wrong.LostInTheMiddle, story => story.Lose(2), butNot: Wrong.LostAtTheEnd);
        AssertFinds(Wrong.LostAtTheEnd, story => story.Lose(4), butNot: Wrong.LostInTheMiddle);
    }

    [Fact]
    public void A_message_that_is_stored_and_never_comes_out_is_lost_too() =>
        AssertFinds(Wrong.LostInTheMiddle, story => story.Drain.Remove(2));

    [Fact]
    public void A_message_that_nobody_sent_is_a_phantom()
    {
        AssertFinds(Wrong.Phantom, story => story.Bob.Received(99, "alice", "boo", 99));
        AssertFinds(Wrong.Phantom, story => story.Store(99, "boo", 99));
    }

    [Fact]
    public void A_message_that_comes_back_over_its_own_connection_is_an_echo_until_it_is_answered_and_a_phantom_from_then_on()
    {
        AssertFinds(Wrong.Echoed, story => story.Alice.Received(5, "alice", "text 5", 5), butNot: Wrong.Phantom);
        AssertFinds(Wrong.Phantom, story => story.Alice.Received(4, "alice", "text 4", 4), butNot: Wrong.Echoed);
    }

    [Fact]
    public void A_message_that_came_out_and_is_not_stored_was_pushed_too_early_although_nobody_had_confirmed_it() =>
        AssertFinds(Wrong.Unstored, story => story.Unstore(5), butNot: Wrong.LostAtTheEnd);

    [Fact]
    public void A_message_under_two_ids_or_twice_over_one_connection_is_duplicated()
    {
        AssertFinds(Wrong.Duplicated, story => story.Bob.Received(77, "alice", "text 4", 4));
        AssertFinds(Wrong.Duplicated, story => story.Drain.Insert(0, story.Drain[0]));
    }

    [Fact]
    public void Messages_in_another_order_are_reordered()
    {
        AssertFinds(Wrong.Reordered, story => story.Drain.Reverse());
        AssertFinds(Wrong.Reordered, story => story.Swap(5, 6));
        AssertFinds(Wrong.Reordered, story => story.SendLate(id: 0));
    }

    [Fact]
    public void A_message_that_a_connection_left_out_is_found_although_the_next_one_brings_it() =>
        AssertFinds(Wrong.Skipped, story => story.Bob.Received(3, "alice", "text 3", 3), butNot: Wrong.LostInTheMiddle);

    [Fact]
    public void What_was_given_up_with_its_line_alone_may_be_stored_after_what_went_over_the_next_one()
    {
        var verdict = new Story().GiveUp().Check();
        Assert.Empty(verdict.Findings);
        Assert.Equal(2, verdict.Recovered);
        AssertFinds(Wrong.Reordered, story => story.GiveUp(isConfirmed: true));
        AssertFinds(Wrong.Reordered, story => story.GiveUp(isOtherLine: false));
    }

    [Fact]
    public void A_message_without_its_inbox_row_or_the_other_way_round_is_torn()
    {
        AssertFinds(Wrong.Torn, story => story.Inbox.RemoveAt(0));
        AssertFinds(Wrong.Torn, story => story.Inbox.Add(new StoredInbox("bob", 50, "alice")));
        AssertFinds(Wrong.Torn, story => story.Inbox[0] = story.Inbox[0] with { Recipient = "carol" });
        AssertFinds(Wrong.Torn, story => story.Alice.WasToldDelivered(3));
    }

    [Fact]
    public void An_id_of_two_messages_is_given_out_twice() => AssertFinds(Wrong.IdGivenOutTwice, story =>
    {
        story.Alice.Sends("bob", "again", "again");
        story.Alice.WasConfirmed("again", 3, 3);
    });

    [Fact]
    public void A_message_that_comes_again_after_it_was_delivered_is_found() => AssertFinds(Wrong.PushedAfterDelivered, story =>
    {
        story.Alice.WasToldDelivered(1);
        story.Drain.Insert(0, 1);
    });

    [Fact]
    public void A_time_that_falls_or_is_not_the_same_everywhere_is_found()
    {
        AssertFinds(Wrong.TimeFell, story => story.Messages[4] = story.Messages[4] with { SentAt = 1 });
        AssertFinds(Wrong.TimeFell, story => story.Bob.Received(5, "alice", "text 5", 6));
        AssertFinds(Wrong.TimeFell, story => story.Alice.WasConfirmed("name 5", 5, 6));
    }

    [Fact]
    public void A_damaged_file_is_found() => AssertFinds(Wrong.Damaged, story => story.Integrity = "row 3 missing from index");

    private static void AssertFinds(Wrong wrong, Action<Story> fault, Wrong? butNot = null)
    {
        var story = new Story();
        fault(story);
        var verdict = story.Check();
        Assert.Contains(verdict.Findings, finding => finding.Wrong == wrong);
        Assert.DoesNotContain(verdict.Findings, finding => finding.Wrong == butNot);
    }

    /// <summary>
    /// Alice sends four messages that are confirmed, one that is not answered and stored, one that is neither; bob acknowledges the first
    /// and drains the rest.
    /// </summary>
    private sealed class Story
    {
        public Story()
        {
            for (var id = 1; id <= 6; id++)
            {
                Alice.Sends("bob", $"text {id}", $"name {id}");
                if (id <= 5)
                    Store(id, $"text {id}", id);
                if (id <= 4)
                    Alice.WasConfirmed($"name {id}", id, id);
            }

            Bob.Connects();
            Bob.Received(1, "alice", "text 1", 1);
            Bob.Acknowledges(1);
            Inbox.RemoveAt(0);
            Drain = [2, 3, 4, 5];
        }

        public Record Alice { get; } = new("alice");

        public Record Bob { get; } = new("bob");

        public List<StoredMessage> Messages { get; } = [];

        public List<StoredInbox> Inbox { get; } = [];

        public List<long> Drain { get; }

        public string Integrity { get; set; } = "ok";

        public void Store(long id, string text, long sentAt)
        {
            Messages.Add(new StoredMessage(id, "alice", "bob", text, sentAt, text.Replace("text", "name", StringComparison.Ordinal)));
            Inbox.Add(new StoredInbox("bob", id, "alice"));
        }

        /// <summary>Gone from everywhere but alice's record; and after 4 nothing is stored.</summary>
        public void Lose(long id)
        {
            Messages.RemoveAll(message => message.Id == id || id == 4 && message.Id > id);
            Inbox.RemoveAll(row => row.Id == id || id == 4 && row.Id > id);
            Drain.RemoveAll(drained => drained == id || id == 4 && drained > id);
        }

        /// <summary>Bob has it, and the database has not.</summary>
        public void Unstore(long id)
        {
            Messages.RemoveAll(message => message.Id == id);
            Inbox.RemoveAll(row => row.Id == id);
        }

        /// <summary>Bob sends for the first time, after all of alice's confirmations, and his message goes in before hers.</summary>
        public void SendLate(long id)
        {
            Bob.Sends("alice", "late", "late");
            Messages.Insert(0, new StoredMessage(id, "bob", "alice", "late", 1, "late"));
            Bob.WasConfirmed("late", id, 1);
        }

        /// <summary>Alice gives 9 up, and sends 8, which is stored before it.</summary>
        public Story GiveUp(bool isOtherLine = true, bool isConfirmed = false)
        {
            Alice.Sends("bob", "text 9", "name 9");
            if (isOtherLine)
                Alice.Connects();
            Alice.Sends("bob", "text 8", "name 8");
            Store(8, "text 8", 8);
            Store(9, "text 9", 9);
            Alice.WasConfirmed("name 8", 8, 8);
            if (isConfirmed)
                Alice.WasConfirmed("name 9", 9, 9);
            Drain.AddRange([8, 9]);
            return this;
        }

        /// <summary>Stores what alice sent last before what she sent before it.</summary>
        public void Swap(int first, int second)
        {
            Messages[first - 1] = Messages[first - 1] with { Text = $"text {second}", Name = $"name {second}" };
            Store(second, $"text {first}", second);
            Drain.Remove(first);
        }

        public Verdict Check()
        {
            Bob.Connects();
            foreach (var id in Drain)
                Bob.Received(id, "alice", $"text {id}", id);
            return Checker.Check([Alice, Bob], new StoredState(Messages, Inbox, Integrity));
        }
    }
}
