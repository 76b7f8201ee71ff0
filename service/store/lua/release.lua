-- An upload is gone.
-- uses: usage
-- keys: uploads usage
-- args: `key` in the storage, `item` of the usage
-- Returns 1, or 0 where somebody else has told so before.
release(keys.usage, args.item)
return redis.call('ZREM', keys.uploads, args.key)
