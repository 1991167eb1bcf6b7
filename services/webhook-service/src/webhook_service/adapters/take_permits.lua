-- As domain/token_bucket.py, on the server's clock, in microseconds.
-- KEYS[1]: when the next one would be on time. ARGV: rate, wanted, burst seconds, ms to keep.
-- Answers: how many may go, and the microseconds until the next one may.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local spacing = 1000000 / tonumber(ARGV[1])
local burst = math.max(tonumber(ARGV[3]) * 1000000 - spacing, 0)
local free = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now - burst)
local granted = 0
while granted < tonumber(ARGV[2]) and free <= now do
    free = free + spacing
    granted = granted + 1
end
redis.call('SET', KEYS[1], string.format('%.0f', free), 'PX', ARGV[4])
return {granted, math.ceil(math.max(free - now, 0))}
