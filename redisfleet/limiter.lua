-- Finds the time of a fleet's next request, so that at most `limit` requests are
-- due in any window.
--
-- KEYS[1] is the hash of one quota. Times are in microseconds, by the clock of
-- this server.
--   0 ... limit-1   when the latest grants are due, as a ring
--   place           where the ring's next grant goes
--   last            when the latest grant is due, or until when none is
--   heldUntil       until when all requests are held back after a 429
--   seen            when this script last ran
--   epoch           when the ring began, which makes older grants void
--   server          the id of the primary's history at that time
--   limit, window   the settings of the members
--
-- ARGV:
--   1 limit, 2 window
--   3 interval      between the grants of members that wait
--   4 tolerance     how late a grant may be used
--   5 patience      the longest wait of the caller
--   6 due, 7 epoch  of a grant to confirm, or 0
--   8 late          how late the caller asks to confirm it, by its own clock
--   9 hold          how long to hold back all requests, or 0
--  10 unrecorded    1 if the caller sent requests that aren't in the ring
--  11 new           1 if this server didn't know this script
--
-- Returns {verdict, wait, due, epoch}.
local KEPT = 7 * 24 * 3600 * 1000 -- milliseconds, longer than any grant or hold lasts
local SEND, CONFIRM, HELD, TOO_LONG, MISMATCH = 0, 1, 2, 3, 4

local key = KEYS[1]
local arg = {}
for i, value in ipairs(ARGV) do
	arg[i] = tonumber(value)
end
local limit, window, interval, tolerance, patience = arg[1], arg[2], arg[3], arg[4], arg[5]
local due, epochOfDue, late, hold = arg[6], arg[7], arg[8], arg[9]
local unrecorded, new = arg[10] == 1, arg[11] == 1

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local info = redis.pcall('INFO', 'replication') -- an ACL may forbid it
local server = type(info) == 'string' and string.match(info, 'master_replid:(%x+)') or ''

local saved = redis.call('HMGET', key, 'limit', 'window', 'place', 'last', 'heldUntil', 'seen', 'epoch', 'server')
local function number(i)
	return tonumber(saved[i]) or 0
end
local place, last, heldUntil, seen, epoch = number(3), number(4), number(5), number(6), number(7)

-- Other settings are in use until a window after the last request with them.
local differs = epoch > 0 and (number(1) ~= limit or number(2) ~= window)
local inUse = now < math.max(seen, last, heldUntil) + number(2)
if differs and inUse and hold == 0 then
	return {MISMATCH, number(2), number(1), 0}
end

local isNewRing = epoch == 0 or (differs and not inUse)
local promoted = epoch > 0 and server ~= '' and saved[8] ~= '' and saved[8] ~= server
local clockWasSetBack = seen > now + tolerance
-- The caller has waited for less time than this server. A response can be slow,
-- so a difference must be large.
local clockWasSetAhead = due > 0 and epoch == epochOfDue and now - due - late > window / 4
if clockWasSetBack then
	heldUntil = now + math.max(heldUntil - seen, 0)
end

-- What was granted last is unknown, so all of that must pass.
local cold = isNewRing or new or promoted or clockWasSetBack or clockWasSetAhead or unrecorded
if cold then
	place, last, epoch = 0, now + window, now
	redis.call('DEL', key)
	redis.call('HSET', key, 'limit', limit, 'window', window, 'epoch', epoch, 'server', server)
end

local function reply(verdict, wait)
	redis.call('HSET', key, 'place', place, 'last', last, 'heldUntil', heldUntil, 'seen', now)
	redis.call('PEXPIRE', key, KEPT)
	return {verdict, wait, due, epoch}
end

if hold > 0 then
	heldUntil = math.max(heldUntil, now + hold)
end
if heldUntil > now then
	return reply(HELD, heldUntil - now)
end
local isValid = due > 0 and epochOfDue == epoch
if isValid and now <= due + tolerance then
	return reply(due > now and CONFIRM or SEND, math.max(due - now, 0))
end

local function dueAt(i)
	return tonumber(redis.call('HGET', key, i % limit)) or 0
end

-- The caller is too late, so it hasn't used its grant. The later grants move up.
local function withdraw()
	for i = place - 1, place - limit, -1 do
		if dueAt(i) == due then
			for later = i + 1, place - 1 do
				redis.call('HSET', key, (later - 1) % limit, dueAt(later))
			end
			place = (place - 1) % limit
			redis.call('HDEL', key, place)
			return
		end
	end
end
if isValid then
	withdraw()
end

-- After a 429 the ring doesn't show all requests that count. So for one window
-- those that were held back must not follow each other at once.
local spaced = last > now or now < heldUntil + window
due = spaced and math.max(last + interval, now) or now
due = math.max(due, dueAt(place) + window)
if due - now > patience then
	return reply(TOO_LONG, due - now)
end
redis.call('HSET', key, place, due)
place, last = (place + 1) % limit, due
return reply(due > now and CONFIRM or SEND, due - now)
