/**
 * JobTimers: how the scheduler of the machine is told when configured jobs run: units for systemd, or lines for cron.
 * Granary has no scheduler of its own.
 */
import * as CalendarEvent from "./CalendarEvent.ts"

/** Something that is to run by itself. */
export interface TimedJob {
  /** Such as `sync-offsite`; with `granary-` before it, the name of its units. */
  readonly name: string
  readonly description: string
  /** The arguments that carry it out. */
  readonly args: ReadonlyArray<string>
  readonly schedule: string
}

export interface Program {
  /** The words that start the program. */
  readonly words: ReadonlyArray<string>
  /** What every run needs besides, such as the configuration's folder. */
  readonly further: ReadonlyArray<string>
}

export interface UnitFile {
  readonly name: string
  readonly content: string
}

const isPlain = (word: string): boolean => /^[\w@%+=:,./-]+$/.test(word)

/** By systemd's rules: `%` and `$` mean something even within quotes. */
const systemdWord = (word: string): string => {
  const escaped = word.replaceAll("%", "%%").replaceAll("$", "$$$$")
  return isPlain(word) ? escaped : `"${escaped.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`
}

const systemdText = (text: string): string => text.replaceAll("%", "%%").replaceAll(/\s+/g, " ")

const shellWord = (word: string): string => (isPlain(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)

const wordsOf = ({ further, words }: Program, { args }: TimedJob): ReadonlyArray<string> => [
  ...words,
  ...args,
  ...further
]

/** The service and the timer of a job. Throws `InvalidName` for a schedule that is none. */
export const units = (job: TimedJob, program: Program): ReadonlyArray<UnitFile> => {
  const event = CalendarEvent.toSystemd(CalendarEvent.parse(job.schedule))
  const unit = `granary-${job.name}`
  const service = [
    "[Unit]",
    `Description=${systemdText(job.description)}`,
    "Wants=network-online.target",
    "After=network-online.target",
    "",
    "[Service]",
    "Type=oneshot",
    `ExecStart=${wordsOf(program, job).map(systemdWord).join(" ")}`,
    "# An interrupt stops the work cleanly.",
    "KillSignal=SIGINT"
  ]
  const timer = [
    "[Unit]",
    `Description=When to run: ${systemdText(job.description)}`,
    "",
    "[Timer]",
    `# ${job.schedule}`,
    `OnCalendar=${event}`,
    "Persistent=true",
    "",
    "[Install]",
    "WantedBy=timers.target"
  ]
  return [
    { name: `${unit}.service`, content: `${service.join("\n")}\n` },
    { name: `${unit}.timer`, content: `${timer.join("\n")}\n` }
  ]
}

const guardOf = (weekdays: ReadonlyArray<number>): string =>
  weekdays.length === 0 ? "" : `date +\\%u | grep -q '[${weekdays.join("")}]' && `

/** Its line of a crontab; a comment where cron cannot be told. Throws `InvalidName` for a schedule that is none. */
export const cronLine = (job: TimedJob, program: Program): string => {
  const time = CalendarEvent.toCron(CalendarEvent.parse(job.schedule))
  if (typeof time === "string") return `# ${job.name}: ${job.schedule}: ${time}`
  const command = wordsOf(program, job).map(shellWord).join(" ").replaceAll("%", "\\%")
  return `${time.fields} ${guardOf(time.onWeekdays)}${command}`
}
