// What SimpleChat promises, in the words of its README.

export const PROMISES = {
  I1: "Written before pushed",
  I2: "The inbox empties only on delivery",
  I3: "No gap, no repeat, no overtaking",
  I4: "A slow reader costs nobody else anything",
  I5: "A connection removes only itself",
  I6: "A repeat is not a second message",
  I7: "Every reason for a connection to end has a name",
  I8: "What one user does slows down that user alone",
  I9: "When storage fails, the sender hears it",
  I10: "The chat knows no other way to the inbox",
  I11: "A position to resume after is proved or refused",
};
