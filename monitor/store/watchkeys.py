"""The keys of accounts made at run time, as `keys` has those of the rest: type, meaning, and who trims them."""

#: Hash account → `<provider> <settings>` of accounts made at run time. Whoever ends a watch removes it.
WATCHES = "{bm:x}:watches"
#: Sorted set account → when its watch ends by itself; of those in `watches`.
WATCH_ENDS = "{bm:x}:watches:ends"
#: Sorted set account → number of what last changed about its watch. Forgotten with what is over.
WATCH_CHANGES = "{bm:x}:watches:changes"
#: Hash account → `<reason> <provider>` of watches that are over. `forget_watch` removes it.
WATCHES_OVER = "{bm:x}:watches:over"
#: Sorted set account → when to forget that its watch is over, and all that is known of the account.
WATCHES_FORGET = "{bm:x}:watches:forget"
#: Hash `seen` → the latest time a call saw, `change` → the highest number given, `life` of the list of changes. Three
#: fields for ever.
WATCH_CLOCK = "{bm:x}:watches:clock"
#: Sorted set wallet → number of the change by which an account last came to stand for it. `watch` trims it by age.
WATCH_WALLETS = "{bm:x}:watches:wallets"
#: Hash account → `<microseconds> <wallet>` that it stands for, and for how long it matters afterwards that it did. Of
#: those in `watches`.
WATCH_STANDS = "{bm:x}:watches:stands"
#: Hash wallet → the account that stood for it last. Whoever ends or changes a watch trims it by the next one.
WATCH_LAST = "{bm:x}:watches:last"
#: Sorted set wallet → when to forget who stood for it; of those in `last` that nobody stands for.
WATCH_LEFT = "{bm:x}:watches:left"
