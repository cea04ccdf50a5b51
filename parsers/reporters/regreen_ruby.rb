# What regreen's reporters for RSpec and minitest have in common: a writer of numbered JSON
# records (see parsers/src/records/mod.rs) to a file of this process's own. It needs nothing of
# the standard library, prints nothing, and swallows its own errors. Ruby >= 2.0.
module Regreen
  FRAMES = 60
  # The frameworks' own steps say nothing of the tests.
  OWN = %r{/lib/(?:rspec/(?:core|expectations|mocks|support)|minitest)\b|/regreen_\w+\.rb:}
  TEXT = 24 * 1024

  class Writer
    attr_reader :number

    # The file that the variable names, or one beside it if another process has that.
    def self.open
      path = ENV.delete("REGREEN_EVENTS")
      own = ENV.delete("REGREEN_OWN")
      restore(own) if own
      return nil if path.nil? || path.empty?
      flags = File::WRONLY | File::CREAT | File::APPEND | File::EXCL
      begin
        io = File.open(path, flags, 0o600)
      rescue SystemCallError
        io = File.open(path.sub(/(\.\w+)?\z/) { "-#{$$}#{$1}" }, flags, 0o600)
      end
      new(io)
    rescue Exception
      nil
    end

    # `NAME=value` of the variable that brought us here, as the suite itself has it: what tests
    # start must see their own.
    def self.restore(own)
      name, value = own.split("=", 2)
      value.nil? || value.empty? ? ENV.delete(name) : ENV[name] = value
    end

    def initialize(io)
      io.close_on_exec = true
      # Tests put something else in the place of all kinds of methods; this one is kept.
      @write = io.method(:syswrite)
      @pid = $$
      @number = 0
      @lock = Mutex.new
    end

    def write(kind, record = {})
      # A forked child inherits this object; its word is not the session's.
      return if $$ != @pid
      @lock.synchronize do
        line = Regreen.json({ :n => @number, :k => kind }.merge(record)) << "\n"
        line.force_encoding(Encoding::BINARY)
        line = line.byteslice(@write.call(line)..-1) until line.empty?
        @number += 1
      end
    rescue Exception
      nil
    end
  end

  ESCAPES = { '"' => '\\"', "\\" => "\\\\", "\n" => "\\n", "\t" => "\\t", "\r" => "\\r" }

  module_function

  def json(value)
    case value
    when Hash
      pairs = value.reject { |_, one| one.nil? }.map { |key, one| "#{json(key.to_s)}:#{json(one)}" }
      "{#{pairs.join(",")}}"
    when Array then "[#{value.map { |one| json(one) }.join(",")}]"
    when Integer, true, false then value.to_s
    when Float then value.finite? ? value.to_s : "null"
    when nil then "null"
    else "\"#{text(value.to_s).gsub(/["\\\u0000-\u001f]/) { |c| ESCAPES[c] || format("\\u%04x", c.ord) }}\""
    end
  end

  # Text that can be written: valid, and not endless.
  def text(value)
    value = value.dup.force_encoding(Encoding::UTF_8) if value.encoding == Encoding::BINARY
    value = value.encode(Encoding::UTF_8, :invalid => :replace, :undef => :replace)
    value = value.encode(Encoding::UTF_16, :invalid => :replace, :undef => :replace).encode(Encoding::UTF_8) unless value.valid_encoding?
    return value if value.length <= TEXT
    "#{value[0, TEXT * 2 / 3]}\n[... #{value.length - TEXT} characters left out ...]\n#{value[-TEXT / 3, TEXT / 3]}"
  rescue StandardError
    "?"
  end

  # `[file, line, column, function]`, innermost first.
  def frames(backtrace)
    Array(backtrace).reject { |line| OWN =~ line.to_s }.first(FRAMES).map do |line|
      found = /\A(.+?):(\d+)(?::in [`'](.*)')?\z/.match(line.to_s) || next
      [found[1], found[2].to_i, nil, found[3]]
    end.compact
  end

  # The name, message and backtrace of an exception; its message may itself raise.
  def error(exception, more = {})
    message = begin
      exception.message.to_s
    rescue Exception => other
      "a #{exception.class} whose message raises #{other.class}"
    end
    { :name => exception.class.name.to_s, :message => message, :frames => frames(exception.backtrace) }.merge(more)
  end

  def ms(seconds)
    seconds && (seconds * 1000).round(3)
  end
end
