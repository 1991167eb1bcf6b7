-- Hands out evenly spaced slots of one Telegram bot, each to a chat that is free then. Times are microseconds
-- of this server's clock, rates distances between two slots; both may have fractions.
--
-- KEYS[1]  sharer -> virtual time up to which it has been served
-- KEYS[2]  sharer -> until when it counts as waiting
-- KEYS[3]  the first slot that is still free
-- KEYS[4]  virtual clock of the fair queue
-- KEYS[5]  until when the bot must be silent
-- KEYS[6]  since when its chats are remembered
-- KEYS[7]  when somebody asked last
-- KEYS[8…] when the chats that have a limit are free again, for each letter that has such a chat
-- ARGV     spacing, enough, horizon, lead, empty start, time to live (ms), sharer, weight, letters (a character
--          each: c has a chat with a limit, g a group, anything else neither), spacing of a chat, of a group,
--          and for each letter, if anything, the slot that it had and missed
-- Answer   {letters that were dealt with, first slot, now, then for each that was deferred its number and the
--          microseconds to wait; the others have slots, from the first on} or {0, microseconds to wait, now}
--
-- Slots are given no further ahead than the horizon, so a crash wastes little, and never closer than
-- `lead`, so that the caller can store its intent in time. Unused slots are not saved up. A bot without a
-- memory (first use, or an emptied server) starts one `empty start` later, and a chat not before what may
-- have been handed out is a spacing ago. Everybody waits until `enough` slots are free and takes at most as
-- many. A letter whose chat is not free at its slot takes none; several to one chat are deferred in a row.
--
-- Sharers are served by start-time fair queueing: whoever has been served least for its weight comes first,
-- and a newcomer starts at the clock, so nobody starves and nobody saves up. A sharer steps back only for
-- one that is waiting: that will be back when it was told to, or a little later. Who was not back because
-- nobody at all was (a machine that stood still) is waited for that little from then on.
-- Source: P. Goyal, H. Vin, H. Cheng, Start-time Fair Queuing, SIGCOMM 1996.
local spacing, enough, horizon = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local lead, empty_start, ttl = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local me, weight, letters = ARGV[7], tonumber(ARGV[8]), ARGV[9]
local gaps = {[99] = tonumber(ARGV[10]), [103] = tonumber(ARGV[11])}
local MISSED = 11
local STEP_BACK, GRACE, AGAIN = 5000, 100000, 50000
local function exactly(number) return string.format('%.2f', number) end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local state = redis.call('MGET', KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7])
redis.call('SET', KEYS[7], exactly(now), 'PX', ttl)

local silent = tonumber(state[3] or '0')
if silent > now then
  return {0, math.ceil(silent - now), now}
end

local born = tonumber(state[4] or '0')
if born == 0 then
  born = now
  redis.call('SET', KEYS[6], exactly(born), 'PX', ttl)
end
local free = tonumber(state[1] or '0')
if free == 0 then
  free = born + empty_start
end

local clock = tonumber(state[2] or '0')
local function start_of(sharer)
  return math.max(clock, tonumber(redis.call('ZSCORE', KEYS[1], sharer) or '0'))
end
local mine = start_of(me)

local function wait(microseconds)
  redis.call('ZADD', KEYS[2], exactly(now + microseconds + GRACE), me)
  redis.call('PEXPIRE', KEYS[2], ttl)
  return {0, math.ceil(microseconds), now}
end

local first = math.max(free, now + lead)
local needed = math.min(#letters, enough)
local beyond = first + (needed - 1) * spacing - (now + horizon)
if beyond > 0 then
  return wait(math.max(1000, beyond))
end

local asked = tonumber(state[5] or '0')
if now - asked > AGAIN then
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], exactly(asked), exactly(now))) do
    redis.call('ZADD', KEYS[2], exactly(now + AGAIN), other)
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', exactly(now))
for _, other in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if other ~= me and start_of(other) < mine then
    return wait(STEP_BACK)
  end
end

local known, taken = {}, {}
if #KEYS > 7 then
  known = redis.call('MGET', unpack(KEYS, 8))
end
local answer, place, granted, dealt = {0, exactly(first), now}, 0, 0, 0
while granted < needed and dealt < #letters do
  dealt = dealt + 1
  local gap = gaps[string.byte(letters, dealt)]
  if gap == nil then
    granted = granted + 1
  else
    place = place + 1
    local key, slot = KEYS[7 + place], first + granted * spacing
    local from = taken[key] or tonumber(known[place] or '0')
    if from == 0 then
      from = born + horizon + gap
    end
    local missed = tonumber(ARGV[MISSED + dealt] or '0')
    if missed > 0 and math.abs(from - missed - gap) < 1 then
      from = missed
    end
    if from <= slot then
      granted = granted + 1
      from = slot
      redis.call('SET', key, exactly(slot + gap), 'PX', math.ceil((slot + gap - now) / 1000) + 1)
    else
      answer[#answer + 1] = dealt
      answer[#answer + 1] = math.ceil(from - now)
    end
    taken[key] = from + gap
  end
end
answer[1] = dealt

if granted > 0 then
  redis.call('SET', KEYS[3], exactly(first + granted * spacing), 'PX', ttl)
  redis.call('SET', KEYS[4], string.format('%.6f', mine), 'PX', ttl)
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.6f', mine))
  redis.call('ZADD', KEYS[1], string.format('%.6f', mine + granted / weight), me)
  redis.call('PEXPIRE', KEYS[1], ttl)
  redis.call('PEXPIRE', KEYS[6], ttl)
end
return answer
