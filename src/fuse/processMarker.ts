/**
 * processMarker: the first parameter of the program in `mountProgram`. It says that the process of a mount is meant.
 */
export const processMarker = "granary-mount"
