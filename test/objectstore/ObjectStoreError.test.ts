/** What an object store's errors say to people, and what callers may conclude from them. */
import { assert, describe, it } from "@effect/vitest"
import {
  isNotFound,
  ObjectStoreError,
  type ObjectStoreReason
} from "../../src/objectstore/ObjectStoreError.ts"

const of = (reason: ObjectStoreReason) => new ObjectStoreError({ operation: "put", key: "store/a", reason })

describe("ObjectStoreError", () => {
  it("names the operation, the object, the trouble and the request", () => {
    const error = new ObjectStoreError({
      operation: "get",
      key: "store/a",
      reason: "Rejected",
      detail: "InvalidDigest",
      httpStatus: 400,
      requestId: "tx01"
    })
    const expected =
      "cannot read store/a: the server refused the request: InvalidDigest (status 400, request tx01)"
    assert.strictEqual(error.message, expected)
    const listing = new ObjectStoreError({ operation: "list", key: "", reason: "NoBucket" })
    assert.strictEqual(listing.message, "cannot list the bucket: there is no such bucket")
    assert.include(listing.hint, "create the bucket")
  })

  it("says what may be tried again, and what may have happened all the same", () => {
    const all: ReadonlyArray<readonly [ObjectStoreReason, retryable: boolean, outcomeUnknown: boolean]> = [
      ["NotFound", false, false],
      ["NoBucket", false, false],
      ["Conflict", true, false],
      ["NotImplemented", false, false],
      ["Throttled", true, false],
      ["Unavailable", true, true],
      ["Disconnected", true, true],
      ["Unreachable", true, false],
      ["Untrusted", false, false],
      ["Truncated", true, false],
      ["AccessDenied", false, false],
      ["WrongKeys", false, false],
      ["ExpiredKeys", false, false],
      ["WrongClock", false, false],
      ["WrongRegion", false, false],
      ["NotS3", false, true],
      ["InvalidRange", false, false],
      ["TooLarge", false, false],
      ["NoSpace", false, false],
      ["BudgetExceeded", false, false],
      ["Rejected", false, false]
    ]
    for (const [reason, retryable, outcomeUnknown] of all) {
      assert.deepStrictEqual(
        [of(reason).retryable, of(reason).outcomeUnknown],
        [retryable, outcomeUnknown],
        reason
      )
      assert.isNotEmpty(of(reason).hint)
    }
  })

  it("a missing bucket is not a missing object", () => {
    assert.isTrue(isNotFound(of("NotFound")))
    assert.isFalse(isNotFound(of("NoBucket")))
  })
})
