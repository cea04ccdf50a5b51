# Regreen's reporter for RSpec 3: a formatter that writes what happens as numbered JSON records
# (see parsers/src/records/mod.rs and parsers/src/rspec/mod.rs). `--require` brings it,
# `--format RegreenFormatter` starts it.
require File.expand_path("../regreen_ruby.rb", __FILE__)

class RegreenFormatter
  # RSpec's own steps, by the methods that stand in a backtrace; innermost first, the first
  # that is found tells where an exception comes from.
  STEPS = [
    # What a mock waited for in vain is the example's own failure.
    [/\Averify_mocks\z/, "call"],
    [/\Arun_before_example\z|\Arun_before_context_hooks\z/, "setup"],
    [/\Arun_after_example\z|\Arun_after_context_hooks\z/, "teardown"],
    [/\Aexecute_with\z/, "around"],
    [/\Ablock in run\z/, "call"]
  ]

  class << self
    attr_accessor :current
  end

  # What fails outside of examples comes to formatters as a text; here it is still an exception.
  module Outside
    def notify_non_example_exception(exception, context)
      super
    ensure
      begin
        RegreenFormatter.current.outside(exception, context) if RegreenFormatter.current
      rescue Exception
        nil
      end
    end
  end

  def self.quietly(*names)
    names.each do |name|
      plain = instance_method(name)
      define_method(name) do |*arguments|
        begin
          plain.bind(self).call(*arguments)
        rescue Exception
          nil
        end
      end
    end
  end

  def self.install
    return unless defined?(RSpec::Core::Formatters) && RSpec::Core::Formatters.respond_to?(:register)
    RSpec::Core::Formatters.register self, :start, :example_started, :example_passed,
                                     :example_failed, :example_pending, :stop, :close
    RSpec::Core::Reporter.send(:prepend, Outside) if RSpec::Core::Reporter.method_defined?(:notify_non_example_exception)
  rescue Exception
    nil
  end

  def initialize(_output)
    @writer = Regreen::Writer.open || return
    @running = {}
    @tests = 0
    @passed = @failed = @skipped = 0
    RegreenFormatter.current = self
    @writer.write("session", :version => 1, :runner => "rspec #{RSpec::Core::Version::STRING}", :cwd => Dir.pwd)
  end

  def start(notification)
    @writer.write("listed", :total => notification.count) if @writer
  end

  def example_started(notification)
    return unless @writer
    example = notification.example
    t = @running[example] = (@tests += 1)
    @writer.write("start", { :t => t }.merge(named(example)))
  end

  def example_passed(notification)
    example = notification.example
    t = over(example) || return
    @writer.write("retry", :t => t) if example.metadata[:retry_attempts].to_i > 0
    @passed += 1
    @writer.write("pass", :t => t, :ms => time(example))
  end

  def example_pending(notification)
    example = notification.example
    t = over(example) || return
    @skipped += 1
    @writer.write("skip", :t => t, :why => example.execution_result.pending_message.to_s, :ms => time(example))
  end

  def example_failed(notification)
    example = notification.example
    t = over(example) || return
    @failed += 1
    whole = formatted(notification)
    parts = parts(example.execution_result.exception)
    parts.each { |phase, exception| failed(t, example, phase, exception, whole) }
    @writer.write("end", :t => t, :ms => time(example))
  end

  # Whoever is running now left in mid-example: `exit` unwinds the stack, and RSpec counts that
  # as no failure.
  def stop(_notification)
    return unless @writer
    why = $!
    @running.each do |example, t|
      @failed += 1
      error = why ? Regreen.error(why, :name => "", :message => left(why)) : { :message => "the example has no result" }
      @writer.write("fail", :t => t, :phase => "call", :kind => "crash", :at => at(example), :error => error)
    end
    @running.clear
  end

  def close(_notification)
    return unless @writer
    @writer.write("finish", :records => @writer.number, :passed => @passed, :failed => @failed, :skipped => @skipped)
    @writer = RegreenFormatter.current = nil
  end

  # A hook of the suite or of a group, or a file that cannot be loaded.
  def outside(exception, context)
    return unless @writer
    @failed += 1
    file = context[/\A(?:An error occurred while loading|While loading) (.+?\.rb)\b/, 1]
    hook = context[/\b((?:before|after)\(:\w+\))/, 1]
    phase = file ? "collect" : hook.to_s.start_with?("after") ? "teardown" : "setup"
    id = file ? file.sub(/\A\.\//, "") : hook ? "#{hook} hook" : context.lines.first.to_s.strip
    error = Regreen.error(exception, :stack => context)
    @writer.write("fail", :id => id, :file => file, :phase => phase, :error => error)
  end

  quietly :initialize, :start, :example_started, :example_passed, :example_pending,
          :example_failed, :stop, :close, :outside

  private

  def named(example)
    metadata = example.metadata
    file = metadata[:rerun_file_path] || metadata[:file_path]
    { :id => example.full_description.to_s, :file => file, :path => [example.id.to_s] }
  end

  def at(example)
    [example.metadata[:absolute_file_path] || example.metadata[:file_path], example.metadata[:line_number], nil]
  end

  def over(example)
    @writer && @running.delete(example)
  end

  def time(example)
    Regreen.ms(example.execution_result.run_time)
  end

  def left(why)
    return "#{why.class}: #{why.message}" unless why.is_a?(SystemExit)
    "left by exit with status #{why.status} in mid-example"
  end

  # One exception for each phase: an example and the hook after it may both fail.
  def parts(exception)
    several = defined?(RSpec::Core::MultipleExceptionError) && RSpec::Core::MultipleExceptionError === exception
    all = several ? exception.all_exceptions : [exception]
    found = {}
    all.each do |one|
      phase = step_of(innermost(one)).first
      found[phase] ||= one
    end
    found
  end

  # Of an aggregate, the first failure says where and what.
  def innermost(exception)
    inner = exception.respond_to?(:all_exceptions) && exception.all_exceptions.first
    inner && inner != exception ? innermost(inner) : exception
  end

  # The step that an exception comes from, and how many lines of its backtrace lie within.
  def step_of(exception)
    backtrace = Array(exception.backtrace)
    backtrace.each_with_index do |line, at|
      next unless line.include?("/rspec/core/")
      name = line[/:in [`'](.*)'\z/, 1].to_s.sub(/[\w:]+[#.](?=\w+[?!]?\z)/, "")
      step = STEPS.find { |pattern, _| pattern =~ name }
      return [step[1], at] if step
    end
    ["call", backtrace.size]
  end

  def failed(t, example, phase, exception, whole)
    inner = innermost(exception)
    fixed = example.execution_result.pending_fixed?
    frames = fixed ? [] : Regreen.frames(Array(inner.backtrace).first(step_of(inner).last))
    error = Regreen.error(exception, :stack => whole, :frames => frames)
    error[:cause] = { :name => inner.class.name.to_s, :message => inner.message.to_s } unless inner.equal?(exception)
    error[:message] = whole.lines.map(&:strip).grep(/\AExpected pending /).first || error[:message] if fixed
    # Of a test in one line the name is known only now.
    record = { :t => t, :open => true, :phase => phase, :error => error, :at => at(example) }
    @writer.write("fail", record.merge(:id => example.full_description.to_s))
  end

  def formatted(notification)
    plain = RSpec::Core::Notifications::NullColorizer
    notification.fully_formatted(1, plain)
  rescue Exception
    ""
  end
end

RegreenFormatter.install
