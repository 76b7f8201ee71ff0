-- An upload is gone.
-- uses: quota
-- keys: uploads kept
-- args: `key` in the storage, `item` that is kept
-- Returns 1, or 0 where somebody else has told so before.
release(keys.kept, args.item)
return redis.call('ZREM', keys.uploads, args.key)
