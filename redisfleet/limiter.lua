-- Finds the time of a fleet's next request, so that at most `limit` requests are
-- due in any window.
--
-- Times are in microseconds, by the clock of this server. KEYS[1] is a hash.
--   heldUntil       until when all requests are held back after a 429
--   seen            when this script last ran
--   epoch           since when all turns are recorded
--   server          the id of the primary's history at that time
--   limit, window   the settings of the members
--
-- KEYS[2] is a sorted set of the turns that are waited for, or still count. The
-- member is the id of a call, and the score is when its request is due. The
-- member 'epoch' stays in it, and shows that the set was not lost.
--
-- ARGV:
--   1 limit, 2 window
--   3 interval      between the turns of members that wait
--   4 tolerance     how late a turn may be used
--   5 patience      the longest wait of the caller, or -1 to give its turn back
--   6 id            of the call, for all that it asks
--   7 expected      what the time should be, since the caller asked before
--   8 epoch         when it asked before, or 0
--   9 hold          how long to hold back all requests, or 0
--  10 unrecorded    1 if the caller sent requests without a turn
--  11 new           1 if this server didn't know this script
--
-- Returns {verdict, wait, due, epoch}.
local KEPT = 7 * 24 * 3600 * 1000 -- milliseconds, longer than any turn or hold lasts
local SEND, CONFIRM, HELD, TOO_LONG, MISMATCH = 0, 1, 2, 3, 4

local key, turns, id = KEYS[1], KEYS[2], ARGV[6]
local arg = {}
for i, value in ipairs(ARGV) do
	arg[i] = tonumber(value)
end
local limit, window, interval, tolerance, patience = arg[1], arg[2], arg[3], arg[4], arg[5]
local expected, epochBefore, hold, unrecorded, new = arg[7], arg[8], arg[9], arg[10] == 1, arg[11] == 1

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local info = redis.pcall('INFO', 'replication') -- an ACL may forbid it
local server = type(info) == 'string' and string.match(info, 'master_replid:(%x+)') or ''

local saved = redis.call('HMGET', key, 'limit', 'window', 'heldUntil', 'seen', 'epoch', 'server')
local function number(i)
	return tonumber(saved[i]) or 0
end
local heldUntil, seen, epoch = number(3), number(4), number(5)

-- The time of the nth latest turn.
local function latest(n)
	return tonumber(redis.call('ZRANGE', turns, -n, -n, 'WITHSCORES')[2]) or 0
end

-- Other settings are in use until a window after the last request with them.
local isKnown = epoch > 0 and redis.call('ZSCORE', turns, 'epoch')
local differs = isKnown and (number(1) ~= limit or number(2) ~= window)
local inUse = differs and now < math.max(seen, latest(1), heldUntil) + number(2)
if inUse and hold == 0 then
	return {MISMATCH, number(2), number(1), 0}
end

local isNew = not isKnown or (differs and not inUse)
local promoted = server ~= '' and saved[6] and saved[6] ~= '' and saved[6] ~= server
local clockWasSetBack = seen > now + tolerance
-- The caller has waited for less time than this server. A response can be slow,
-- so a difference must be large.
local clockWasSetAhead = epochBefore == epoch and now - expected > window / 4
if clockWasSetBack then
	heldUntil = now + math.max(heldUntil - seen, 0)
end

-- What was sent last is unknown, so all of that must pass.
local cold = isNew or new or promoted or clockWasSetBack or clockWasSetAhead or unrecorded
if cold then
	epoch = now
	redis.call('DEL', key, turns)
	redis.call('HSET', key, 'limit', limit, 'window', window, 'epoch', epoch, 'server', server)
	redis.call('ZADD', turns, 0, 'epoch')
end

local function reply(verdict, wait, due)
	redis.call('HSET', key, 'heldUntil', heldUntil, 'seen', now)
	redis.call('ZREMRANGEBYSCORE', turns, 1, now - (inUse and number(2) or window))
	redis.call('PEXPIRE', key, KEPT)
	redis.call('PEXPIRE', turns, KEPT)
	return {verdict, wait, due, epoch}
end

heldUntil = hold > 0 and math.max(heldUntil, now + hold) or heldUntil
local isHeld = heldUntil > now
local due = tonumber(redis.call('ZSCORE', turns, id))
if due and now <= due + tolerance and patience >= 0 and not isHeld then
	return reply(due > now and CONFIRM or SEND, math.max(due - now, 0), due)
end
-- Only a cancelled call has surely not used its turn. Another call may have, if
-- the network repeats its message. That turn counts until a later one replaces it.
if patience < 0 then
	redis.call('ZREM', turns, id)
end
if isHeld then
	return reply(HELD, heldUntil - now, 0)
end

-- After a 429 the turns don't show all requests that count. So for one window
-- those that were held back must not follow each other at once.
local last = math.max(latest(1), epoch + window)
local spaced = last > now or now < heldUntil + window
due = spaced and math.max(last + interval, now) or now
due = math.max(due, latest(limit) + window)
if due - now > patience then
	return reply(TOO_LONG, due - now, 0)
end
redis.call('ZADD', turns, due, id)
return reply(due > now and CONFIRM or SEND, due - now, due)
