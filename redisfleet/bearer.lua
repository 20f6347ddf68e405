-- Keeps a fleet's bearer, and elects the member that fetches the next one.
--
-- KEYS[1] is a hash. Times are in milliseconds, by the clock of this server.
--   sealed, digest   the encrypted bearer, and the digest by which it is refused
--   expiry, life     when it expires, and its lifetime when it was stored
--   owner, lease     the elected member, and until when it may fetch
--
-- ARGV: an operation, then its arguments.
local key, operation = KEYS[1], ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- look: digest of a refused bearer or '', owner, duration of a lease.
-- Returns {sealed or '', its digest, milliseconds left, '1' if the owner is elected}.
local function look(refused, owner, duration)
	local saved = redis.call('HMGET', key, 'sealed', 'digest', 'expiry', 'life', 'lease', 'owner')
	local sealed, digest = saved[1] or '', saved[2] or ''
	local life, lease = tonumber(saved[4]) or 0, tonumber(saved[5]) or 0
	local left = math.min((tonumber(saved[3]) or 0) - now, life)
	if sealed ~= '' and (left <= 0 or digest == refused) then
		redis.call('HDEL', key, 'sealed', 'digest', 'expiry', 'life')
		sealed, digest, left = '', '', 0
	end
	-- A client renews its bearer when 60 s or a quarter of its lifetime are left. The
	-- fleet's bearer must be due by then.
	local due = sealed == '' or left <= math.min(65000, life / 3)
	-- A longer lease than any is left from before the clock was set back. An owner
	-- asks again if the response was lost.
	local elected = due and (lease <= now or lease > now + duration or saved[6] == owner)
	if elected then
		redis.call('HSET', key, 'owner', owner, 'lease', now + duration)
		redis.call('PEXPIRE', key, math.max(left, duration))
	end
	return {sealed, digest, tostring(left), elected and '1' or '0'}
end

local function isOwner(owner)
	return redis.call('HGET', key, 'owner') == owner
end

-- release: owner. Another member may then be elected.
local function release(owner)
	if isOwner(owner) then
		redis.call('HDEL', key, 'owner', 'lease')
	end
	return {}
end

-- store: owner, sealed, digest, lifetime. A member that fetched too slowly, so
-- that another was elected, doesn't replace the other's bearer.
local function store(owner, sealed, digest, life)
	if isOwner(owner) or not redis.call('HGET', key, 'sealed') then
		redis.call('HSET', key, 'sealed', sealed, 'digest', digest, 'expiry', now + life, 'life', life)
		redis.call('PEXPIRE', key, life)
	end
	return release(owner)
end

local operations = {look = look, store = store, release = release}
return operations[operation](unpack(ARGV, 2))
