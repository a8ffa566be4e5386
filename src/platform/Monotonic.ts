/** Elapsed time for rates and bars: never goes backwards and means nothing by itself. */
export const monotonicMillis = (): number => performance.now()
