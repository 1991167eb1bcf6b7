-- Hands out evenly spaced slots of one Telegram bot. Times are microseconds of this server's clock.
--
-- KEYS[1]  the first slot that is still free
-- KEYS[2]  until when the bot must be silent
-- KEYS[3]  virtual clock of the fair queue
-- KEYS[4]  sharer -> virtual time up to which it has been served
-- KEYS[5]  sharer -> until when it counts as waiting
-- ARGV     spacing, wanted, enough, horizon, lead, empty start, time to live (ms), sharer, weight
-- Answer   {granted, first slot, now} or {0, microseconds to wait, now}
--
-- Slots are given no further ahead than the horizon, so a crash wastes little, and never closer than
-- `lead`, so that the caller can store its intent in time. Unused slots are not saved up. A bot without a
-- memory (first use, or an emptied server) starts one `empty start` later: what was handed out before is
-- over by then. Everybody waits until `enough` slots are free and takes at most as many.
--
-- Sharers are served by start-time fair queueing: whoever has been served least for its weight comes first,
-- and a newcomer starts at the clock, so nobody starves and nobody saves up. A sharer steps back only for
-- one that is waiting. Source: P. Goyal, H. Vin, H. Cheng, Start-time Fair Queuing, SIGCOMM 1996.
local spacing, wanted, enough = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local horizon, lead, ttl = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[7]
local me, weight = ARGV[8], tonumber(ARGV[9])
local STEP_BACK, GRACE = 5000, 100000
local function whole(number) return string.format('%.0f', number) end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local silent = tonumber(redis.call('GET', KEYS[2]) or '0')
if silent > now then
  return {0, silent - now, now}
end

local free = tonumber(redis.call('GET', KEYS[1]) or '-1')
if free < 0 then
  free = now + tonumber(ARGV[6])
  redis.call('SET', KEYS[1], whole(free), 'PX', ttl)
end

local clock = tonumber(redis.call('GET', KEYS[3]) or '0')
local function start_of(sharer)
  return math.max(clock, tonumber(redis.call('ZSCORE', KEYS[4], sharer) or '0'))
end
local mine = start_of(me)

local function wait(microseconds)
  redis.call('ZADD', KEYS[5], whole(now + microseconds + GRACE), me)
  redis.call('PEXPIRE', KEYS[5], ttl)
  return {0, microseconds, now}
end

local first = math.max(free, now + lead)
local last = now + horizon
local room = 0
if first <= last then
  room = math.floor((last - first) / spacing) + 1
end
local needed = math.min(wanted, enough)
if room < needed then
  return wait(math.max(1000, first + (needed - 1) * spacing - last))
end

redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', whole(now))
for _, other in ipairs(redis.call('ZRANGE', KEYS[5], 0, -1)) do
  if other ~= me and start_of(other) < mine then
    return wait(STEP_BACK)
  end
end

local granted = math.min(needed, room)
redis.call('SET', KEYS[1], whole(first + granted * spacing), 'PX', ttl)
redis.call('SET', KEYS[3], string.format('%.6f', mine), 'PX', ttl)
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', string.format('(%.6f', mine))
redis.call('ZADD', KEYS[4], string.format('%.6f', mine + granted / weight), me)
redis.call('PEXPIRE', KEYS[4], ttl)
return {granted, first, now}
